import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { FileRecord } from '../manifest.ts';
import { NODE_FILE_SYSTEM } from './file-system.ts';
import { writeFailed } from './write-failed.ts';
import { syncFolder, temporaryName } from './write-file-durably.ts';

/** Between two pieces the caller gets its turn, so a piece must not keep the disk idle for long: 16 MiB are some 10 ms. */
const PIECE_BYTES = 2 ** 24;

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
      for (const whole of pieces) {
        for (let at = 0; at < whole.length; at += PIECE_BYTES) {
          const piece = whole.subarray(at, at + PIECE_BYTES), written = writeAll(file, piece);
          hash.update(piece); // while the disk is at work
          await written;
        }
        size += whole.length;
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

/** A write may take fewer bytes than it was given. */
async function writeAll(file: Awaited<ReturnType<typeof open>>, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done);
    if (bytesWritten <= 0) throw Object.assign(new Error('the system took no bytes'), { code: 'EIO' });
    done += bytesWritten;
  }
}
