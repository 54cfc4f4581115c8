import { join } from 'node:path';
import {
  canonicalJson,
  deferredBytes,
  NODE_FILE_SYSTEM,
  safetensorsPieces,
  writeFileUnsynced,
  writeFolderAtomically,
  type FileSystem,
  type TensorToStream,
} from '@qdylora/checkpoint';
import { DTYPE_BYTES, elementCount, type Backend, type DataOf, type DType } from '@qdylora/contract';
import type { Optimizer, StateArray } from '../optimizers/optimizer.ts';
import { stateArrayOf } from '../optimizers/states/state-array.ts';
import type { ComputedOn } from './computed-on.ts';
import type { SumOrder } from '../sharing/sum-order.ts';
import { areStatesFinite, areWeightsFinite, assertSavable } from './finite-checks.ts';
import type { RunProgress } from '../run/run-progress.ts';
import { runStateJson, type RunIdentity } from './run-state.ts';

/** The file of a checkpoint folder (`checkpoints/step-<n>`) with the progress and the identity of the run. */
export const STATE_FILE = 'state.json';
/** The file of a checkpoint folder with the trained parameters. */
export const PARAMETERS_FILE = 'parameters.safetensors';
/** The file of a checkpoint folder with the arrays of the optimizer's state. */
export const OPTIMIZER_FILE = 'optimizer.safetensors';

/** What a checkpoint stores of a run. */
export interface CheckpointContents {
  readonly backend: Backend;
  readonly optimizer: Optimizer;
  readonly progress: RunProgress;
  readonly identity: RunIdentity;
  /** How the run adds gradients. Default: null, which a resumed run compares with nothing. */
  readonly sums?: SumOrder | null;
  /**
   * Defaults for keys that are missing or null in `identity`, in the checkpoint and in this run, so that a
   * checkpoint older than a key can be resumed. None by default.
   */
  readonly absentIdentity?: RunIdentity;
}

/** Options of `saveState`: further files of the checkpoint, and the file system. */
export interface SaveStateOptions {
  /** Adds further files (an adapter) to the folder before it is sealed. */
  readonly write?: (folder: string) => void | Promise<void>;
  /** Default: `NODE_FILE_SYSTEM`. */
  readonly fs?: FileSystem;
}

/** Names of element types in safetensors. */
export const SAFETENSORS_NAMES: Readonly<Record<DType, string>> = {
  f32: 'F32',
  bf16: 'BF16',
  f16: 'F16',
  i32: 'I32',
  u8: 'U8',
};

/**
 * Writes a checkpoint with everything that a run needs to resume bit for bit. The write is atomic.
 *
 * @throws QdyloraError NON_FINITE for weights or optimizer states that are not finite, so that a useless
 * checkpoint never follows a good one; WRITE_FAILED on a disk error.
 */
export async function saveState(
  path: string,
  contents: CheckpointContents,
  { write, fs = NODE_FILE_SYSTEM }: SaveStateOptions = {},
): Promise<void> {
  const { backend, optimizer, progress, identity } = contents;
  const { counts, arrays } = optimizer.state();
  const { isHost } = backend.memory.space;
  const check = (name: string, values: DataOf[DType]): void => {
    assertSavable(backend, name, values);
  };
  const parameters = tensorsOf(
    isHost,
    new Map(optimizer.parameters.map(({ name, view }) => [name, stateArrayOf(backend, view)])),
    areWeightsFinite(backend, optimizer) ? undefined : check,
  );
  const states = tensorsOf(isHost, arrays, areStatesFinite(backend, optimizer, arrays) ? undefined : check);
  const text = canonicalJson(
    runStateJson({ progress, counts, identity, computedOn: computedOnOf(contents) }),
  );
  await writeFolderAtomically(
    path,
    async (folder, files) => {
      // the larger one first: it is written while the other one is hashed
      await files.write(OPTIMIZER_FILE, safetensorsPieces(states));
      await files.write(PARAMETERS_FILE, safetensorsPieces(parameters));
      writeFileUnsynced(join(folder, STATE_FILE), [new TextEncoder().encode(text)], fs);
      await write?.(folder);
    },
    { replace: true, fs },
  );
}

/** What computes the steps of a run, as a checkpoint records it. */
export const computedOnOf = ({
  backend: { name, level },
  sums = null,
}: Pick<CheckpointContents, 'backend' | 'sums'>): ComputedOn => ({
  backend: name,
  level: level ?? null,
  sums,
});

/**
 * The tensors of a checkpoint file. Host memory is checked first and written without a copy. From a device,
 * one array at a time is copied to the host and checked when it is written; the same holds for pages.
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
