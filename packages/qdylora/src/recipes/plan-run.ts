import { QdyloraError } from '@qdylora/contract';
import type { TokenBatch, Tokenizer } from '@qdylora/data';
import { firstExample, maskPreview } from '@qdylora/data';
import {
  accumulateGradients,
  clearGradients,
  DEFAULT_BAD_STEPS,
  levelsOfStep,
  passesOfStep,
} from '@qdylora/trainer';
import type { RunConfig } from '../config/resolve-run.ts';
import type { PreparedRun } from './run/prepare-run.ts';
import type { AssembledRun } from './run/assemble-run.ts';
import type { RunData } from './run/load-data.ts';
import { forecastMemory } from './memory-plan/forecast-memory.ts';
import type { MemoryForecast } from './memory-plan/memory-forecast.ts';
import { openRun } from './finetune.ts';
import { openSession } from './run/run-session.ts';
import { checkOutputFolder, checkPageFolder } from './run-folder/output-folder.ts';
import { forwardShare, viewsBetween, viewsLeft } from './run/judging/evaluation-views.ts';

/** What a run would do. */
export interface RunPlan {
  readonly config: RunConfig;
  readonly backend: string;
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
  /** Without the rows that are known to have nothing to predict; a note says where not all are known. */
  readonly trainingRows: number;
  readonly heldOutRows: number;
  readonly layers: number;
  readonly trainableCount: number;
  /** The first training row, with the tokens that the loss counts. */
  readonly row: string;
  /** One pass of one micro batch, measured. */
  readonly passSeconds: number;
  readonly passTokens: number;
  readonly forecastSeconds: number;
  /** Peak memory of the whole process, and of the GPU if there is one; null for a backend of the caller. */
  readonly memory: MemoryForecast | null;
  readonly notes: readonly string[];
}

/**
 * Loads everything, runs one micro batch, and describes the whole run. Writes nothing.
 *
 * @throws whatever the run itself would throw up to there
 */
export async function planRun(
  requested: PreparedRun,
  { color, signal }: { readonly color: boolean; readonly signal?: AbortSignal },
): Promise<RunPlan> {
  checkOutputFolder(requested.outputDir, requested.resumeFromCheckpoint);
  if (requested.pageDir !== null) checkPageFolder(requested.pageDir);
  const session = openSession({ backend: requested.backend, signal });
  using opened = await openRun(requested, session);
  const { config, source, data, chosen, run } = opened;
  const forecast =
    chosen.dry &&
    (await forecastMemory(
      config,
      { run, data },
      {
        dryBackend: chosen.dry,
        isOnDevice: chosen.deviceBytes !== null,
        ceilingBytes: chosen.ceilingBytes,
        model: source.config.raw,
        marks: session.marks,
      },
    ));
  const pass = await timePass(run, signal);
  return {
    config,
    backend: chosen.label,
    totalSteps: run.totalSteps,
    stepsPerEpoch: run.batches.stepsPerEpoch,
    trainingRows: data.training.length,
    heldOutRows: data.heldOut.length,
    layers: run.adapted?.layers.length ?? 0,
    trainableCount: run.adapted?.report.trainableCount ?? run.model.parameterCount,
    // opened again: a run does not hold it, so the forecast must not either
    row: firstRow(data, await source.openTokenizer(), color),
    passSeconds: pass.seconds,
    passTokens: pass.tokens,
    forecastSeconds: secondsOf(run, data, config, pass),
    memory: forecast,
    notes: [...session.notes, ...countNotes(data)],
  };
}

/** A note where streamed rows without a token to predict may be among the counted ones. */
const countNotes = ({ report: { rows, measuredRows } }: RunData): string[] =>
  measuredRows < rows
    ? [
        `The number of training rows is an upper bound: ${measuredRows} of ${rows} rows were tokenized, ` +
          'and others that have nothing to predict are left out when they are read.',
      ]
    : [];

function firstRow({ training }: RunData, tokenizer: Tokenizer | null, color: boolean): string {
  const example = firstExample(training);
  return example ? maskPreview(example, { tokenizer, color, maxTokens: 256 }) : '';
}

interface TimedPass {
  readonly seconds: number;
  readonly tokens: number;
  /** How often each token of a step's rows goes through the model, once all ranks train. */
  readonly runsPerToken: number;
}

/**
 * One micro batch forward and backward: the first pass of the first step that has one.
 *
 * @throws QdyloraError BAD_DATA where the first steps have none
 */
async function timePass({ model, training }: AssembledRun, signal?: AbortSignal): Promise<TimedPass> {
  const { optimizer, computeDtype, recompute, offload } = training;
  const { backend } = model;
  // no state: nothing is updated, and no page file is opened
  for (const parameter of optimizer.parameters) parameter.makeTrainable(backend.memory);
  clearGradients(model, optimizer.parameters);
  const stepBatches = firstBatches(training);
  // of two steps one may have passes at another level
  const [passes, next] = [0, 1].map(
    (step) => passesOfStep(step, stepBatches, training, levelsOfStep(training.levels, step)).passes,
  );
  const [first] = passes;
  const losses = backend.memory.allocate('f32', [1]);
  const start = performance.now();
  await accumulateGradients([first!], 1, losses, { computeDtype, recompute, offload, signal });
  await backend.memory.read(losses);
  return {
    seconds: (performance.now() - start) / 1000,
    tokens: first!.batch.ids.length,
    runsPerToken:
      tokensOf([...passes, ...next].map(({ batch }) => batch)) / Math.max(1, 2 * tokensOf(stepBatches)),
  };
}

function firstBatches({ batches, totalSteps }: AssembledRun['training']): readonly TokenBatch[] {
  const steps = Math.min(totalSteps, DEFAULT_BAD_STEPS); // `train` gives up after as many
  for (let step = 0; step < steps; step++) {
    const stepBatches = batches.batchAt(step);
    if (stepBatches.length > 0) return stepBatches;
  }
  throw new QdyloraError('BAD_DATA', {
    where: 'plan',
    problem: `None of the first ${steps} steps has a token to learn from`,
    nextStep: 'Look at the rows with `qdylora inspect --dataset`, and at max_seq_length.',
  });
}

const tokensOf = (batches: readonly TokenBatch[]): number =>
  batches.reduce((sum, { ids }) => sum + ids.length, 0);

/**
 * Time grows with tokens: those of the training steps, and those of the held-out rows in every evaluation.
 */
function secondsOf(
  { totalSteps, batches, training: { wideSteps = 0 } }: AssembledRun,
  { training, heldOut, report }: RunData,
  config: RunConfig,
  { seconds, tokens, runsPerToken }: TimedPass,
): number {
  const secondsPerToken = seconds / tokens;
  const heldOutTokens = heldOut.reduce((sum, { ids }) => sum + ids.length, 0);
  const rowTokens = report.tokens / Math.max(1, report.measuredRows - report.dropped);
  const tokensPerStep = (training.length * rowTokens) / batches.stepsPerEpoch;
  const trainedTokens = tokensPerStep * (wideSteps + (totalSteps - wideSteps) * runsPerToken);
  // a run that goes on from an adapter is evaluated before its first step too
  const before = config.adapter === null ? 0 : viewsBetween(config);
  const views = before + viewsLeft(config, 1, totalSteps);
  return secondsPerToken * (trainedTokens + views * heldOutTokens * forwardShare(config));
}
