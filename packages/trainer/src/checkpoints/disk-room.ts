import { NODE_FILE_SYSTEM, type FileSystem } from '@qdylora/checkpoint';
import { DTYPE_BYTES, elementCount, QdyloraError, type DType, type Shape } from '@qdylora/contract';
import type { Optimizer } from '../optimizers/optimizer.ts';

/** Bytes of state and manifest of a checkpoint. */
const SMALL_FILES_BYTES = 4096;
/** Bytes of one array's entry in the header of its file. */
const HEADER_BYTES = 128;

/** Bytes of a checkpoint: trained weights and optimizer state. */
export function checkpointBytes(optimizer: Pick<Optimizer, 'parameters' | 'state'>): number {
  const bytes = (arrays: Iterable<{ readonly dtype: DType; readonly shape: Shape }>): number =>
    [...arrays].reduce(
      (sum, { dtype, shape }) => sum + elementCount(shape) * DTYPE_BYTES[dtype] + HEADER_BYTES,
      0,
    );
  const weights = optimizer.parameters.map(({ view }) => view);
  return bytes(weights) + bytes(optimizer.state().arrays.values()) + SMALL_FILES_BYTES;
}

/**
 * Bytes that this user may still write to the disk of an existing folder; null if the system does not report
 * them.
 */
export function freeBytes(folder: string, fs: FileSystem = NODE_FILE_SYSTEM): number | null {
  try {
    const { bavail, bsize } = fs.statfsSync(folder);
    return bavail * bsize;
  } catch {
    return null;
  }
}

/** Whether a write failed because the disk is full or a quota is used up. */
export const isFullDisk = (error: unknown): boolean =>
  QdyloraError.isInstance(error) &&
  error.code === 'WRITE_FAILED' &&
  ['ENOSPC', 'EDQUOT'].includes(String((error.cause as { code?: unknown } | undefined)?.code));

/** Needed room is rounded up, free room down. */
export const megabytes = (bytes: number, round: (count: number) => number = Math.ceil): string =>
  `${round(bytes / 1e6).toLocaleString('en-US')} MB`;

export interface NoRoom {
  readonly folder: string;
  /** What the room is for: `a checkpoint`. */
  readonly what: string;
  readonly neededBytes: number;
  /** null if the system does not report it. */
  readonly freeBytes: number | null;
  /** The last good checkpoint. */
  readonly checkpoint: string | null;
  readonly cause?: unknown;
}

/** The error for a full disk: the missing size, and the last good checkpoint. */
export function noRoom({
  folder,
  what,
  neededBytes,
  freeBytes: free,
  checkpoint,
  cause,
}: NoRoom): QdyloraError {
  const missing = megabytes(Math.max(1, neededBytes - (free ?? 0)));
  const remedy = `Free ${missing} there, or choose another output_dir.`;
  return new QdyloraError('WRITE_FAILED', {
    where: 'save',
    problem:
      `The disk of ${folder} has no room for ${what} of ${megabytes(neededBytes)} ` +
      `(${free === null ? 'it is full' : `${megabytes(free, Math.floor)} free`})`,
    nextStep: checkpoint
      ? `${remedy} The last good checkpoint is ${checkpoint}: resume from it with resume_from_checkpoint.`
      : remedy,
    details: { folder, neededBytes, freeBytes: free, checkpoint },
    cause,
  });
}
