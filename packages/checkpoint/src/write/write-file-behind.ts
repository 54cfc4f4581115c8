import { createHash } from 'node:crypto';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { FileRecord } from '../manifest.ts';
import { NODE_FILE_SYSTEM } from './file-system.ts';
import { writeFailed } from './write-failed.ts';
import { syncFolder, temporaryName } from './write-file-durably.ts';

/** What goes to the disk in one call, however small its pieces: a caller that computes gives the event loop a turn now and then only, and each call waits for one. */
const BATCH_BYTES = 2 ** 27;

/**
 * `writeFileDurably` while the caller goes on: the system's own threads write and sync, and the bytes are hashed as they go. A caller that computes must let the event loop have turns.
 *
 * @throws QdyloraError WRITE_FAILED, as a rejection; the temporary file is removed, an older file of the name stays.
 */
export async function writeFileBehind(path: string, pieces: Iterable<Uint8Array>): Promise<FileRecord> {
  const temporary = temporaryName(path), hash = createHash('sha256');
  let size = 0;
  try {
    const file = await open(temporary, 'wx');
    try {
      for (const batch of batchesOf(pieces)) {
        const written = writeAll(file, batch);
        for (const piece of batch) { // while the disk is at work
          hash.update(piece);
          size += piece.length;
        }
        await written;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    syncFolder(dirname(path), NODE_FILE_SYSTEM);
    return { size, sha256: hash.digest('hex') };
  } catch (cause) {
    await rm(temporary, { force: true });
    throw writeFailed(path, cause);
  }
}

/** Pieces in their order, in lists of about BATCH_BYTES. */
function* batchesOf(pieces: Iterable<Uint8Array>): Generator<Uint8Array[]> {
  let batch: Uint8Array[] = [], bytes = 0;
  for (const piece of pieces) {
    if (piece.length === 0) continue;
    batch.push(piece);
    bytes += piece.length;
    if (bytes < BATCH_BYTES && batch.length < MOST_PIECES) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

/** Buffers that one system call takes. */
const MOST_PIECES = 512;

/** A write may take fewer bytes than it was given. */
async function writeAll(file: FileHandle, batch: readonly Uint8Array[]): Promise<void> {
  let left = batch;
  while (left.length > 0) {
    let { bytesWritten } = await file.writev(left);
    if (bytesWritten <= 0) throw Object.assign(new Error('the system took no bytes'), { code: 'EIO' });
    const rest: Uint8Array[] = [];
    for (const piece of left) {
      const taken = Math.min(bytesWritten, piece.length);
      bytesWritten -= taken;
      if (taken < piece.length) rest.push(piece.subarray(taken));
    }
    left = rest;
  }
}
