import { NODE_FILE_SYSTEM, type FileSystem } from '@qdylora/checkpoint';
import { DTYPE_BYTES, elementCount, QdyloraError, type DType, type Shape } from '@qdylora/contract';
import type { Optimizer } from './optimizers/optimizer.ts';

/**
 * What a checkpoint has beside its arrays: state and manifest, and a line for each array in the header of its
 * file.
 */
const SMALL_FILES_BYTES = 4096;
const HEADER_BYTES = 128;

/** Bytes of a checkpoint: weights that are trained, and the optimizer's states. */
export function checkpointBytes({ parameters, state }: Pick<Optimizer, 'parameters' | 'state'>): number {
  const bytes = (arrays: Iterable<{ readonly dtype: DType; readonly shape: Shape }>): number =>
    [...arrays].reduce(
      (sum, { dtype, shape }) => sum + elementCount(shape) * DTYPE_BYTES[dtype] + HEADER_BYTES,
      0,
    );
  return bytes(parameters.map(({ view }) => view)) + bytes(state().arrays.values()) + SMALL_FILES_BYTES;
}

/**
 * Bytes that this user may still write to the disk of a folder that is there; null where the system does not
 * tell.
 */
export function freeBytes(folder: string, fs: FileSystem = NODE_FILE_SYSTEM): number | null {
  try {
    const { bavail, bsize } = fs.statfsSync(folder);
    return bavail * bsize;
  } catch {
    return null;
  }
}

/** A full disk, or a quota that is used up. */
export const isFullDisk = (error: unknown): boolean =>
  QdyloraError.isInstance(error) &&
  error.code === 'WRITE_FAILED' &&
  ['ENOSPC', 'EDQUOT'].includes(String((error.cause as { code?: unknown } | undefined)?.code));

export const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6).toLocaleString('en-US')} MB`;

export interface NoRoom {
  readonly folder: string;
  /** `a checkpoint`. */
  readonly what: string;
  readonly neededBytes: number;
  /** null where nobody knows. */
  readonly freeBytes: number | null;
  /** The last good one. */
  readonly checkpoint: string | null;
  readonly cause?: unknown;
}

/** The error for a disk that has no room: how much is missing, and what is safe already. */
export function noRoom({
  folder,
  what,
  neededBytes,
  freeBytes: free,
  checkpoint,
  cause,
}: NoRoom): QdyloraError {
  return new QdyloraError('WRITE_FAILED', {
    where: 'save',
    problem:
      `expected room for ${what} of ${megabytes(neededBytes)} in ${folder}, got ` +
      `${free === null ? 'a full disk' : `${megabytes(free)} free`}`,
    nextStep:
      `Free ${megabytes(Math.max(1, neededBytes - (free ?? 0)))} there, or choose another ` +
      `output_dir.${checkpoint ? ` The last good checkpoint is ${checkpoint}: go on from it with ` + `resume_from_checkpoint.` : ''}`,
    details: { folder, neededBytes, freeBytes: free, checkpoint },
    cause,
  });
}
