import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  NODE_FILE_SYSTEM,
  openSafetensors,
  validateFolder,
  type FileSystem,
  type SafetensorsFile,
  type TensorEntry,
} from '@qdylora/checkpoint';
import { elementCount, QdyloraError, typedArray, type DType } from '@qdylora/contract';
import type { SavedArray } from '../optimizers/optimizer.ts';
import { checkSaved, stateArrayOf } from '../optimizers/states/state-array.ts';
import { assertSameRun } from './assert-same-run.ts';
import { computedOnWarnings } from './computed-on.ts';
import type { RunProgress } from '../run/run-progress.ts';
import type { RunWarning } from '../run/train-events.ts';
import { listCheckpoints } from './checkpoint-folders.ts';
import { isAbsent, parseRunState, type RunIdentity } from './run-state.ts';
import {
  computedOnOf,
  OPTIMIZER_FILE,
  PARAMETERS_FILE,
  SAFETENSORS_NAMES,
  STATE_FILE,
  type CheckpointContents,
} from './save-state.ts';

/** The result of `findCheckpoint`. */
export interface FoundCheckpoint {
  /** The newest whole checkpoint; null if there is none. */
  readonly path: string | null;
  /** Newer checkpoints that are damaged, with the reason. */
  readonly damaged: readonly { readonly path: string; readonly problem: string }[];
}

/**
 * Finds the newest checkpoint whose files all have the size and hash in its manifest. A name alone is never
 * trusted.
 */
export function findCheckpoint(folder: string, fs: FileSystem = NODE_FILE_SYSTEM): FoundCheckpoint {
  const damaged: { path: string; problem: string }[] = [];
  for (const { path } of listCheckpoints(folder, fs)) {
    const problem = checkpointProblem(path, fs);
    if (problem === null) return { path, damaged };
    damaged.push({ path, problem });
  }
  return { path: null, damaged };
}

/** The reason why a folder is not a checkpoint to start from; null for a whole checkpoint. */
export function checkpointProblem(path: string, fs: FileSystem = NODE_FILE_SYSTEM): string | null {
  const folder = validateFolder(path, fs);
  if (!folder.isValid) return folder.problem;
  const missing = [STATE_FILE, PARAMETERS_FILE, OPTIMIZER_FILE].find(
    (name) => !fs.existsSync(join(path, name)),
  );
  // a whole folder of another kind, such as an adapter
  return missing === undefined ? null : `${path} has no ${missing}`;
}

/** Result of `resumeState`. */
export interface Resumed {
  readonly progress: RunProgress;
  /** How the steps to come round differently from those of the checkpoint. */
  readonly warnings: readonly RunWarning[];
}

/**
 * Restores weights, optimizer state and progress of a checkpoint. The optimizer must be prepared. Everything
 * is checked before anything changes.
 *
 * @throws QdyloraError BAD_RESUME if the checkpoint is not whole or belongs to another run.
 */
export function resumeState(path: string, contents: Omit<CheckpointContents, 'progress'>): Resumed {
  const { backend, optimizer, identity, absentIdentity } = contents;
  const problem = checkpointProblem(path);
  if (problem !== null)
    throw new QdyloraError('BAD_RESUME', {
      where: 'resume',
      problem: `${path} is not a whole checkpoint: ${problem}`,
      nextStep: 'Resume from another checkpoint.',
      details: { path },
    });
  const saved = parseRunState(path, JSON.parse(readFileSync(join(path, STATE_FILE), 'utf8')));
  const whole = (part: RunIdentity): RunIdentity => withAbsent(part, absentIdentity);
  assertSameRun(path, whole(saved.identity), whole(identity));
  const parameterFile = openSafetensors(join(path, PARAMETERS_FILE));
  const optimizerFile = openSafetensors(join(path, OPTIMIZER_FILE));
  try {
    const parameters = savedArrays(parameterFile);
    const weights = optimizer.parameters.map(
      ({ name, view }) => [name, stateArrayOf(backend, view)] as const,
    );
    for (const [name, array] of weights) checkSaved(name, array, parameters.get(name));
    optimizer.load({ counts: saved.counts, arrays: savedArrays(optimizerFile) });
    for (const [name, array] of weights) array.write(parameters.get(name)!.read() as never);
  } finally {
    parameterFile.dispose();
    optimizerFile.dispose();
  }
  return {
    progress: saved.progress,
    warnings: computedOnWarnings(saved.computedOn, computedOnOf(contents)),
  };
}

/** The identity, with the values of `absent` for keys that are missing or null. */
const withAbsent = (identity: RunIdentity, absent: RunIdentity = {}): RunIdentity => ({
  ...identity,
  ...Object.fromEntries(Object.entries(absent).filter(([name]) => isAbsent(identity[name]))),
});

const savedArrays = (file: SafetensorsFile): Map<string, SavedArray> =>
  new Map([...file.tensors].map(([name, entry]) => [name, savedArray(name, entry)]));

export function savedArray(name: string, entry: TensorEntry): SavedArray {
  const dtype = (Object.keys(SAFETENSORS_NAMES) as DType[]).find(
    (candidate) => SAFETENSORS_NAMES[candidate] === entry.dtype,
  );
  if (!dtype)
    throw new QdyloraError('BAD_RESUME', {
      where: 'resume',
      problem:
        `The dtype of ${name} must be one of ${Object.values(SAFETENSORS_NAMES).join(', ')} ` +
        `(got ${entry.dtype})`,
    });
  const length = elementCount(entry.shape);
  return { dtype, length, read: () => typedArray(dtype, entry.readBytes().buffer, 0, length) };
}
