import { NODE_FILE_SYSTEM, type FileSystem } from './file-system.ts';
import { temporaryFile, type WriteOptions } from './temporary-file.ts';

/**
 * Writes a file so that its name always refers to a complete one: temporary file, fsync, rename, fsync of the
 * folder. Pieces are read one at a time.
 *
 * @throws QdyloraError WRITE_FAILED with the system's error as cause. The temporary file is removed;
 * `path` is unchanged, or, if only the last fsync failed, already replaced.
 */
export function writeFileDurably(
  path: string,
  pieces: Iterable<Uint8Array>,
  fs: FileSystem = NODE_FILE_SYSTEM,
): void {
  writeWhole(path, pieces, { fs, isSynced: true });
}

/**
 * Writes a file without fsync, inside a folder that `writeFolderAtomically` fills: there all files are synced
 * together, while they are hashed, before the folder is renamed.
 */
export function writeFileUnsynced(
  path: string,
  pieces: Iterable<Uint8Array>,
  fs: FileSystem = NODE_FILE_SYSTEM,
): void {
  writeWhole(path, pieces, { fs, isSynced: false });
}

function writeWhole(path: string, pieces: Iterable<Uint8Array>, options: WriteOptions): void {
  const file = temporaryFile(path, options);
  try {
    file.open();
    for (const piece of pieces) file.write(piece);
    file.commit();
  } catch (cause) {
    throw file.discard(cause);
  }
}
