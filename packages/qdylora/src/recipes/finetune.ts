import { wrapBackend } from '@qdylora/contract';
import { createFolder, type FileSystem } from '@qdylora/checkpoint';
import type { Communicator } from '@qdylora/collectives';
import type { TrainCallbacks, TrainResult } from '@qdylora/trainer';
import { valuesOfOptions } from '../config/explicit-values.ts';
import type { RunOptions } from '../config/resolve-run.ts';
import { assertBudgetsFit } from './budgets/assert-budgets-fit.ts';
import { workerAmong } from './memory-plan/dry-world.ts';
import { needOfRun } from './memory-plan/forecast-memory.ts';
import { chooseBackend, type BackendChoice } from './opening/choose-backend.ts';
import { chosenTemplate } from './opening/chosen-template.ts';
import { withLoadedQuantization } from './opening/loaded-quantization.ts';
import { openSource } from './opening/open-source.ts';
import { warnOfCopies } from './opening/warn-of-copies.ts';
import { warnOfPositions } from './opening/warn-of-positions.ts';
import { shipRun, type ShippedRun } from './outputs/ship-run.ts';
import { agreeOnModel, agreeOnRun } from './run/agree-on-run.ts';
import { announceRun } from './run/announce-run.ts';
import { assembleRun, attachForTraining } from './run/assemble-run.ts';
import { checkHooks } from './run/check-hooks.ts';
import { countWorkersOnHost } from './run/count-workers-on-host.ts';
import { defaultLearningRate } from './run/steps/default-learning-rate.ts';
import { judgeOf } from './run/judging/judge-run.ts';
import { layOutSteps } from './run/steps/lay-out-steps.ts';
import { learn } from './run/steps/learn.ts';
import { assertRowsExist } from './run/assert-rows-exist.ts';
import { readRows, trainedNames } from './run/load-data.ts';
import { startAdapter } from './run/steps/start-adapter.ts';
import { openProfile } from './run/steps/op-profile.ts';
import type { OpenedRun } from './run/opened-run.ts';
import { ownedResources } from './run/owned-resources.ts';
import { prepareRun, type PreparedRun } from './run/prepare-run.ts';
import { openSession, type RunSession } from './run/run-session.ts';
import { startRun, type StartedRun } from './run/start-run.ts';
import { afterSteps, beforeSteps, tellingAbort } from './run/steps/tell-abort.ts';
import { checkOutputFolder, checkPageFolder, checkpointOf } from './run-folder/output-folder.ts';

/** The keys of a run in camelCase, and what only a program can pass. The run waits for its callbacks. */
export type FinetuneOptions = Omit<RunOptions, 'backend' | 'dataset' | 'outputDir'> &
  TrainCallbacks & {
    readonly dataset: string | readonly string[];
    readonly outputDir: string;
    /** By name, or a backend of your own. */
    readonly backend?: BackendChoice;
    /** The number of the GPU, for backend `cuda`; 0 by default. Each of several workers needs its own. */
    readonly device?: number;
    /** On an abort the last whole step is saved, and `result` rejects with code ABORTED. */
    readonly signal?: AbortSignal;
    /**
     * The workers that share the steps (`connectWorld`); this one must be the first. The others call
     * `assistRun`.
     */
    readonly workers?: Communicator | null;
    /** Checkpoints and `events.jsonl` are written through it; Node's file system by default. */
    readonly fs?: FileSystem;
  };

/** The result of `finetune`: the report and files of the run, and the outcome of its steps. */
export type FinetuneResult = ShippedRun & { readonly training: TrainResult };

/**
 * A started run. Reading its events is optional. The first reader receives all events; later readers receive
 * events from the moment they subscribe.
 */
export type FinetuneRun = StartedRun<FinetuneResult>;

/**
 * Fine-tunes a model at all ranks in one run. Writes adapter, checkpoints, log and report into `outputDir`.
 *
 * @throws QdyloraError BAD_CONFIG or BAD_ARGUMENT at once for options that do not fit; every other error
 * rejects `result` and ends the iteration
 * @example
 * const files = { model: 'models/smollm2', dataset: 'gsm8k.jsonl', outputDir: 'runs/smol' };
 * const run = finetune({ ...files, valSetSize: 200, ranks: [1, 2, 4, 8] });
 * for await (const event of run) if (event.type === 'step') console.log(event.step, event.rank, event.loss);
 * const { report } = await run.result;
 */
export function finetune(
  {
    signal,
    fs,
    workers,
    device,
    onStep,
    onEvaluate,
    onSave,
    ...options
  }: FinetuneOptions = {} as FinetuneOptions,
): FinetuneRun {
  const callbacks = { onStep, onEvaluate, onSave };
  checkHooks('finetune', { signal, fs, device, ...callbacks });
  const config = prepareRun(valuesOfOptions(options));
  const backend = options.backend ?? config.backend;
  return startRun((emit) =>
    runPipeline(config, openSession({ backend, device, signal, fs, callbacks, workers, emit })),
  );
}

/**
 * A whole run: open, read, compress, build and attach (`openRun`); then learn, judge, ship.
 *
 * @throws QdyloraError whatever a part throws
 */
export async function runPipeline(requested: PreparedRun, session: RunSession): Promise<FinetuneResult> {
  checkOutputFolder(requested.outputDir, requested.resumeFromCheckpoint);
  if (requested.pageDir !== null) checkPageFolder(requested.pageDir);
  const before = beforeSteps(requested.resumeFromCheckpoint);
  using opened = await tellingAbort(before, () => openRun(requested, session));
  const forecastBytes = await tellingAbort(before, () => announceRun(opened, session));
  if (session.workers) createFolder(requested.outputDir); // others put their pages there
  const checkpoint = checkpointOf(requested, session.fs);
  await agreeOnRun(opened, session, checkpoint);
  if (checkpoint === null) await tellingAbort(before, () => startAdapter(opened, session));
  const judge = judgeOf(opened, session);

  const { training, events } = await learn(opened, judge, session);

  const shipped = await tellingAbort(afterSteps(training), async () => {
    const judgement = judge && (await judge.atEnd(training.step, session.signal));
    return shipRun(opened, { training, judgement, events: events(), forecastBytes }, session);
  });
  return { ...shipped, training };
}

/**
 * Everything before the first step. Rows are read before the weights, so that the memory of the tokenizer is
 * free again when the weights are loaded.
 *
 * @throws QdyloraError whatever reading, choosing and building throw
 */
export async function openRun(requested: PreparedRun, session: RunSession): Promise<OpenedRun> {
  const { notice, signal } = session;
  const owned = ownedResources();
  try {
    session.emit({ type: 'phase', phase: 'loading' });
    assertRowsExist([...trainedNames(requested), ...(requested.evalDataset ?? [])]);
    session.mark('Node and the program');
    // open: names and shapes; no weight is read yet
    const template = chosenTemplate(requested);
    const source = await openSource(requested, { tell: notice, signal, template });
    const { device } = session;
    const chosen = owned.add(await chooseBackend(session.backend, { ...requested, device, warn: notice }));
    session.mark('kernels');
    const resolved = {
      ...requested,
      computeDtype: chosen.computeDtype(requested.computeDtype),
      learningRate: requested.learningRate ?? defaultLearningRate(requested, source.config),
    };
    // read: rows become tokens, and tokens become steps
    const data = owned.add(await readRows(resolved, source, session));
    session.mark('tokenizer and rows');
    const steps = layOutSteps(resolved, data, notice);
    // compress and build: each matrix is quantized as it is read
    const profile = resolved.profile ? openProfile() : null;
    const backend = profile ? wrapBackend(chosen.backend, { measure: profile.measure }) : chosen.backend;
    await agreeOnModel({ ...resolved, fingerprint: source.fingerprint }, session);
    const model = await source.build(backend, { signal, workers: session.workers });
    const config = withLoadedQuantization(resolved, model, notice);
    // attach: the adapter of all ranks, its optimizer and its rank sampler
    const adapted = await attachForTraining(model, config, { ...source, warn: notice });
    if (adapted)
      assertBudgetsFit(config.evalBudgets, { layers: adapted.layers, maxRank: adapted.ranks.maxRank });
    warnOfPositions(model.config, data, config.maxSeqLength, notice);
    warnOfCopies(data.heldOut, 'held-out rows', notice);
    const needOf = needOfRun(config, { data, chosen, source, worker: workerAmong(session.workers) });
    const workersOnHost = session.workers ? await countWorkersOnHost(session.workers) : 1;
    const options = { warn: notice, needOf, workersOnHost };
    const run = await assembleRun(config, { model, adapted, ...steps }, options);
    owned.add(run.training.optimizer);
    if (run.training.offload) owned.add(run.training.offload);
    return { config, source, chosen, data, run, profile, [Symbol.dispose]: owned.dispose };
  } catch (error) {
    owned.dispose();
    throw error;
  }
}
