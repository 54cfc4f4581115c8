import { join } from 'node:path';
import {
  deferredBytes,
  canonicalJson,
  discardFolder,
  NODE_FILE_SYSTEM,
  writeFileUnsynced,
  safetensorsPieces,
  writeFolderAtomically,
  type FileSystem,
  type TensorToStream,
} from '@qdylora/checkpoint';
import {
  DTYPE_BYTES,
  hostData,
  elementCount,
  QdyloraError,
  runOp,
  viewOf,
  type ArrayView,
  type Backend,
  type DataOf,
  type DType,
} from '@qdylora/contract';
import { sumOfSquares } from '@qdylora/tensor';
import { joinNeighbours } from './join-neighbours.ts';
import type { Optimizer, StateArray } from './optimizers/optimizer.ts';
import { stateArrayOf } from './optimizers/parameter-states.ts';
import type { ComputedOn } from './checkpoints/computed-on.ts';
import type { RunProgress } from './checkpoints/run-progress.ts';
import { runStateJson, type RunIdentity } from './checkpoints/run-state.ts';

/** Files of one checkpoint folder, `checkpoints/step-<n>`. */
export const STATE_FILE = 'state.json';
export const PARAMETERS_FILE = 'parameters.safetensors';
export const OPTIMIZER_FILE = 'optimizer.safetensors';

/** What a checkpoint is made of. */
export interface RunParts {
  readonly backend: Backend;
  readonly optimizer: Optimizer;
  readonly progress: RunProgress;
  readonly identity: RunIdentity;
}

export interface SaveStateOptions {
  /** Adds files of one's own (an adapter) to the folder before it is sealed. */
  readonly write?: (folder: string) => void | Promise<void>;
  readonly fs?: FileSystem;
}

/** Element types of a state as safetensors names them. */
export const SAFETENSORS_NAMES: Readonly<Record<DType, string>> = {
  f32: 'F32',
  bf16: 'BF16',
  i32: 'I32',
  u8: 'U8',
};

/**
 * Writes everything that a run needs to go on as if nothing had happened, all or nothing.
 *
 * @throws QdyloraError NON_FINITE for weights or optimizer states that are no numbers, so that a good
 * checkpoint is never followed by a useless one; WRITE_FAILED where the disk refuses.
 */
export async function saveState(
  path: string,
  { backend, optimizer, progress, identity }: RunParts,
  { write, fs = NODE_FILE_SYSTEM }: SaveStateOptions = {},
): Promise<void> {
  const { counts, arrays } = optimizer.state();
  const { isHost } = backend.memory.space;
  const check = (name: string, values: DataOf[DType]): void => {
    assertFinite(backend, name, values);
  };
  const parameters = tensorsOf(
    isHost,
    new Map(optimizer.parameters.map(({ name, view }) => [name, stateArrayOf(backend, view)])),
    areWeightsFinite(backend, optimizer) ? undefined : check,
  );
  const states = tensorsOf(isHost, arrays, areStatesFinite(backend, optimizer, arrays) ? undefined : check);
  const text = canonicalJson(runStateJson({ progress, counts, identity, computedOn: kernelsOf(backend) }));
  await writeFolderAtomically(
    path,
    async (folder, files) => {
      // the larger one first: the disk takes it while the other one is hashed
      await files.write(OPTIMIZER_FILE, safetensorsPieces(states));
      await files.write(PARAMETERS_FILE, safetensorsPieces(parameters));
      writeFileUnsynced(join(folder, STATE_FILE), [new TextEncoder().encode(text)], fs);
      await write?.(folder);
    },
    { replace: true, fs },
  );
}

/** What a checkpoint says of the kernels behind it. */
export const kernelsOf = ({ name, level }: Backend): ComputedOn => ({ backend: name, level: level ?? null });

/**
 * The tensors of a checkpoint file. Host memory is checked first and written from where it is. From a device
 * one array at a time is copied to the host and checked, when its turn to be written comes. So are pages.
 */
function tensorsOf(
  isHost: boolean,
  arrays: ReadonlyMap<string, StateArray>,
  check?: (name: string, values: DataOf[DType]) => void,
): TensorToStream[] {
  const tensors: TensorToStream[] = [];
  for (const [name, array] of arrays) {
    const { dtype, shape } = array;
    if (isHost) check?.(name, array.peek()!);
    const copied = async (): Promise<DataOf[DType]> => {
      const values = await array.read();
      check?.(name, values);
      return values;
    };
    tensors.push({
      name,
      dtype: SAFETENSORS_NAMES[dtype],
      shape,
      bytes: isHost
        ? () => bytesOf(array.peek()!)
        : deferredBytes(elementCount(shape) * DTYPE_BYTES[dtype], copied),
    });
  }
  return tensors;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: DataOf[DType]): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/**
 * True where all weights are numbers. They are asked in a few sums: arrays that were made one after the other
 * lie so.
 */
function areWeightsFinite(backend: Backend, { parameters }: Optimizer): boolean {
  const weights = backend.memory.space.isHost
    ? parameters.map(({ view }) => hostData(view)).filter((data) => data instanceof Float32Array)
    : [];
  return (
    weights.length === parameters.length &&
    joinNeighbours(weights).every((data) => hasFiniteSquares(backend, viewOf('f32', [data.length], data)))
  );
}

/**
 * True where the arrays that the states lie in side by side tell that all are numbers, in a few sums instead
 * of one for each.
 */
function areStatesFinite(
  backend: Backend,
  optimizer: Optimizer,
  arrays: ReadonlyMap<string, StateArray>,
): boolean {
  const resident = optimizer.resident?.() ?? [];
  const elements = (list: Iterable<Pick<StateArray, 'dtype' | 'shape'>>): number =>
    [...list].reduce((sum, { dtype, shape }) => sum + (dtype === 'f32' ? elementCount(shape) : 0), 0);
  return (
    backend.memory.space.isHost &&
    elements(resident) >= elements(arrays.values()) &&
    resident.every((x) => hasFiniteSquares(backend, x))
  );
}

const hasFiniteSquares = (backend: Backend, x: ArrayView<'f32'>): boolean =>
  Number.isFinite(
    hostData(
      runOp(backend, sumOfSquares, { x }, {}, { sum: viewOf('f32', [1], new Float32Array(1)) }).sum,
    )[0],
  );

/** The kernel's sum of squares tells nearly always; only where it doesn't, every number is looked at. */
function assertFinite(backend: Backend, name: string, values: DataOf[DType]): void {
  if (!(values instanceof Float32Array)) return; // codes of 8-bit states; their scales are float32
  if (backend.memory.space.isHost && hasFiniteSquares(backend, viewOf('f32', [values.length], values)))
    return;
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw new QdyloraError('NON_FINITE', {
      where: 'save',
      problem: `expected numbers in ${name}, got ${values[bad]} at ${bad}`,
      nextStep: 'Resume from the last checkpoint with a smaller learning rate.',
      details: { name, index: bad },
    });
}

/**
 * The checkpoints of a run, newest first; none where there is no such folder.
 *
 * @throws QdyloraError BAD_RESUME where the folder cannot be read: a run must not begin anew because of that.
 */
export function listCheckpoints(
  folder: string,
  fs: FileSystem = NODE_FILE_SYSTEM,
): { step: number; path: string }[] {
  const found = namesIn(folder, fs).flatMap((name) => {
    const [, step] = /^step-(\d+)$/.exec(name) ?? [];
    return step ? [{ step: Number(step), path: join(folder, name) }] : [];
  });
  return found.sort((a, b) => b.step - a.step);
}

function namesIn(folder: string, fs: FileSystem): string[] {
  try {
    return fs.readdirSync(folder);
  } catch (cause) {
    if ((cause as { code?: string }).code === 'ENOENT') return [];
    throw new QdyloraError('BAD_RESUME', {
      where: 'resume',
      problem: `expected to read ${folder}, got ${(cause as Error).message}`,
      nextStep: 'Make it readable, or choose another output_dir.',
      details: { path: folder },
      cause,
    });
  }
}

/**
 * Removes all but the newest `keep` checkpoints, 1 at least; says whether any went. Called where the newest
 * is whole and durable, so a good one is always left.
 */
export function pruneCheckpoints(folder: string, keep: number, fs: FileSystem = NODE_FILE_SYSTEM): boolean {
  let isAnyGone = false;
  try {
    for (const { path } of listCheckpoints(folder, fs).slice(Math.max(1, keep))) {
      discardFolder(path, fs);
      isAnyGone = true;
    }
  } catch {
    /* one checkpoint too many does no harm; the next save tries again */
  }
  return isAnyGone;
}

/**
 * Renames a checkpoint out of the run's way: `step-20.damaged`. Nothing of it is deleted, except an older one
 * set aside under the same name.
 */
export function setCheckpointAside(
  path: string,
  why: 'damaged' | 'superseded',
  fs: FileSystem = NODE_FILE_SYSTEM,
): string {
  const aside = `${path}.${why}`;
  fs.rmSync(aside, { recursive: true, force: true });
  fs.renameSync(path, aside);
  return aside;
}
