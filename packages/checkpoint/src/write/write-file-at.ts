import { closeQuietly } from './close-quietly.ts';
import { NODE_FILE_SYSTEM, type FileSystem } from './file-system.ts';
import { writeAll } from './write-all.ts';
import { writeFailed } from './write-failed.ts';

/**
 * Writes bytes at a position of an existing file, for growing files such as logs. Nothing is synced, and a
 * failure may leave a part of the bytes.
 *
 * @param position bytes from the file's start; existing bytes are overwritten
 * @throws QdyloraError WRITE_FAILED with the system's error as cause
 */
export function writeFileAt(
  path: string,
  bytes: Uint8Array,
  position: number,
  fs: FileSystem = NODE_FILE_SYSTEM,
): void {
  try {
    const fd = fs.openSync(path, 'r+');
    try {
      writeAll(fd, bytes, fs, position);
    } finally {
      closeQuietly(fd, fs);
    }
  } catch (cause) {
    throw writeFailed(path, cause);
  }
}
