import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { isHubName } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { OPTIMIZER_FILE, STATE_FILE } from '@qdylora/trainer';
import { numberIn, type ExplicitValues } from '../../config/explicit-values.ts';
import { readRunYaml } from '../../config/yaml/read-run-yaml.ts';
import { jsonInFile } from '../run-folder/json-in-file.ts';
import { runPaths } from '../run-folder/output-folder.ts';
import { readReport } from '../run-folder/read-report.ts';
import { shellCommand } from '../outputs/shell-command.ts';

/** A run that has ended, as its folder describes it. */
export interface FinishedRun {
  readonly folder: string;
  /** Folder of its adapter. */
  readonly adapter: string;
  /** The keys of its `run.yaml`. */
  readonly values: ExplicitValues;
  /** Optimizer steps that it took. */
  readonly steps: number;
  /** Those that its schedule was made for: more than `steps` where it ended early. */
  readonly plannedSteps: number;
  /** The checkpoint after its last step; null where it is gone. */
  readonly lastCheckpoint: string | null;
}

/**
 * Reads the folder of a run that has trained an adapter.
 *
 * @throws QdyloraError MISSING_FILE where there is no run, no adapter or no report; BAD_FILE for a damaged
 * report or state of the last checkpoint; BAD_CONFIG for full training
 */
export async function readFinishedRun(folder: string): Promise<FinishedRun> {
  const paths = runPaths(folder);
  if (!existsSync(paths.run))
    throw refusal(
      existsSync(folder)
        ? `${folder} is not the folder of a run: it has no run.yaml.`
        : `There is no ${folder}.`,
      'Name the output_dir of a run: runs/first.',
    );
  const values = await readRunYaml(paths.run);
  assertTrainedAdapter(folder, values);
  if (!existsSync(paths.reportJson)) throw notEnded(paths.run, paths.reportJson);
  const steps = stepsIn(paths.reportJson);
  const checkpoint = join(paths.checkpoints, `step-${steps}`);
  const lastCheckpoint = existsSync(join(checkpoint, OPTIMIZER_FILE)) ? checkpoint : null;
  const totalSteps = lastCheckpoint === null ? null : totalStepsIn(lastCheckpoint);
  const plannedSteps = Math.max(numberIn(values, 'maxSteps') ?? totalSteps ?? 0, steps);
  return { folder, adapter: paths.adapter, values, steps, plannedSteps, lastCheckpoint };
}

/**
 * The steps of a run of epochs, as its checkpoint has them; null where it does not say.
 *
 * @throws QdyloraError BAD_FILE for a damaged file
 */
function totalStepsIn(checkpoint: string): number | null {
  const path = join(checkpoint, STATE_FILE);
  if (!existsSync(path)) return null; // the trainer says what a checkpoint lacks
  const state = stateSchema.safeParse(jsonInFile(path));
  if (state.success) return state.data.config?.total_steps ?? null;
  throw new QdyloraError('BAD_FILE', {
    where: path,
    problem: 'The state of the checkpoint is damaged.',
    nextStep: `Delete ${checkpoint}: the optimizer's moments then start at 0.`,
  });
}

/** The part of the state of a checkpoint that tells its steps. */
const stateSchema = z.object({
  config: z.object({ total_steps: z.number().optional() }).optional(),
});

/**
 * Refuses a run that trains a whole model, or has not written its adapter yet.
 *
 * @param values the keys of its `run.yaml`
 * @throws QdyloraError BAD_CONFIG, MISSING_FILE
 */
export function assertTrainedAdapter(folder: string, values: ExplicitValues): void {
  const { run, adapter } = runPaths(folder);
  if (values.get('method')?.value === 'none')
    throw new QdyloraError('BAD_CONFIG', {
      where: run,
      problem: `${folder} trained a whole model (method none), so it has no adapter with ranks.`,
      nextStep: 'Name a run that trained an adapter.',
    });
  if (!existsSync(adapter)) throw notEnded(run, adapter);
}

const notEnded = (runYaml: string, path: string): QdyloraError =>
  refusal(
    `The run has not ended: there is no ${path}.`,
    `Continue it first: ${shellCommand(['train', runYaml, '--resume-from-checkpoint', 'auto'])}`,
  );

const refusal = (problem: string, nextStep: string): QdyloraError =>
  new QdyloraError('MISSING_FILE', { where: 'run', problem, nextStep });

/** @throws QdyloraError BAD_FILE */
function stepsIn(reportJson: string): number {
  const { steps } = readReport(reportJson);
  if (Number.isSafeInteger(steps) && (steps as number) > 0) return steps as number;
  throw new QdyloraError('BAD_FILE', {
    where: reportJson,
    problem: `\`steps\` must be the number of steps of the run, at least 1 (got ${JSON.stringify(steps)}).`,
    nextStep: 'Restore the file from where the run was trained.',
  });
}

/**
 * Refuses a base model that is no longer where the run found it. A name on the hub is left to the download.
 *
 * @throws QdyloraError MISSING_FILE
 */
export function assertBaseExists(folder: string, model: unknown): void {
  if (typeof model !== 'string' || existsSync(model) || isHubName(model)) return;
  throw new QdyloraError('MISSING_FILE', {
    where: 'model',
    problem: `The base model of ${folder} is no longer at ${model}.`,
    nextStep: 'Name the place where it is now: --model path/to/folder.',
    details: { model },
  });
}
