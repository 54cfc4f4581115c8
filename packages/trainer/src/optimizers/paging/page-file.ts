import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readvSync, unlinkSync, writeSync, writevSync } from 'node:fs';
import { join } from 'node:path';
import {
  DisposedError,
  hostData,
  QdyloraError,
  type ArrayView,
  type PageArrival,
  type PageDeparture,
  type PageStore,
} from '@qdylora/contract';
import { makeFolder } from '../../make-folder.ts';

export interface PageFileOptions {
  /** A folder on a real disk: a folder in memory (tmpfs, often /tmp) would save nothing. */
  readonly folder: string;
  readonly byteLength: number;
  /**
   * Reserves the file's blocks on the disk; @qdylora/cpu-kernels has `reserveFile` (posix_fallocate). By
   * default zeros are written, which has the same effect but is slower.
   */
  readonly reserve?: (fd: number, bytes: number) => void;
}

/**
 * Opens a file of zeros without a name: it is unlinked as soon as it is open, so it is gone when the process
 * ends, however it ends. A folder created for the file is removed as soon as the file is unlinked. The blocks
 * of the file are reserved at once, so a full disk is an error here and not in the middle of a step. pread
 * and pwrite move pages between the system's page cache and a fixed slot, so only the slot counts towards the
 * resident set size. (A mapped file would count every touched page until madvise drops it, and would fault
 * each one in again.)
 *
 * @throws QdyloraError WRITE_FAILED if the folder cannot be written to or the disk has no room.
 */
export function openPageFile({ folder, byteLength, reserve = writeZeros }: PageFileOptions): PageStore {
  const fd = openUnlinked(folder, byteLength);
  let isOpen = true;
  const dispose = (): void => {
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
  try {
    reserve(fd, byteLength);
  } catch (cause) {
    dispose();
    throw noRoom(folder, byteLength, cause);
  }
  /** Moves all bytes of the arrays; the system may move fewer at a time. */
  const transfer = (move: typeof readvSync, arrays: readonly ArrayView[], offset: number): void => {
    if (!isOpen) throw new DisposedError('page file');
    let left = arrays.map(bytesOf).filter(({ length }) => length > 0);
    let at = offset;
    while (left.length > 0) {
      const moved = move(fd, left, at);
      if (moved <= 0) throw new Error(`${left.length} arrays at ${at} of ${byteLength} bytes are missing`);
      at += moved;
      left = afterBytes(left, moved);
    }
  };
  return {
    byteLength,
    dispose,
    [Symbol.dispose]: dispose,
    read: (offset, arrays) => {
      guard(folder, 'read', () => transfer(readvSync, arrays, offset));
      return DONE;
    },
    write: (offset, arrays) => {
      guard(folder, 'written', () => transfer(writevSync, arrays, offset));
      return DONE;
    },
  };
}

/** Reads and writes of the file are complete when `read` and `write` return. */
const DONE = { wait() {} } satisfies PageArrival & PageDeparture;

function openUnlinked(folder: string, byteLength: number): number {
  const path = join(folder, `optimizer-pages-${process.pid}-${randomUUID()}.tmp`);
  try {
    const unmake = makeFolder(folder);
    try {
      const fd = openSync(path, 'wx+', 0o600);
      unlinkSync(path);
      return fd;
    } finally {
      unmake();
    }
  } catch (cause) {
    throw noRoom(folder, byteLength, QdyloraError.isInstance(cause) ? cause.cause : cause);
  }
}

const ZEROS = 2 ** 20;

function writeZeros(fd: number, bytes: number): void {
  const zeros = new Uint8Array(Math.min(bytes, ZEROS));
  for (let at = 0; at < bytes;) at += writeSync(fd, zeros, 0, Math.min(zeros.length, bytes - at), at);
}

const bytesOf = (view: ArrayView): Uint8Array => {
  const { buffer, byteOffset, byteLength } = hostData(view);
  return new Uint8Array(buffer, byteOffset, byteLength);
};

/** The rest of some arrays after their first `done` bytes. */
function afterBytes(arrays: readonly Uint8Array[], done: number): Uint8Array[] {
  const left = [...arrays];
  while (left.length > 0 && done >= left[0].length) done -= left.shift()!.length;
  if (left.length > 0) left[0] = left[0].subarray(done);
  return left;
}

function guard(folder: string, what: string, move: () => void): void {
  try {
    move();
  } catch (cause) {
    if (QdyloraError.isInstance(cause)) throw cause;
    throw new QdyloraError('WRITE_FAILED', {
      where: 'page_dir',
      problem: `${folder}: a page of optimizer state could not be ${what}: ${(cause as Error).message}`,
      nextStep: 'The state is lost. Resume from the last checkpoint, with another page_dir.',
      cause,
    });
  }
}

const noRoom = (folder: string, byteLength: number, cause: unknown): QdyloraError =>
  new QdyloraError('WRITE_FAILED', {
    where: 'page_dir',
    problem:
      `${folder}: ${byteLength} bytes for optimizer state could not be reserved: ` +
      `${(cause as Error).message}`,
    nextStep:
      `${isFull(cause) ? 'Free some space' : 'Make the folder writable'}, choose another page_dir, ` +
      `or raise optimizer_memory_budget.`,
    details: { folder, byteLength, code: (cause as { code?: unknown }).code },
    cause,
  });

/** True for a full disk or quota, or a limit on file sizes; otherwise the folder is not writable. */
const isFull = (cause: unknown): boolean =>
  ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(String((cause as { code?: unknown }).code));
