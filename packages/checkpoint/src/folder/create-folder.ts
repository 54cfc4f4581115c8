import { dirname, join, relative, resolve, sep } from 'node:path';
import { NODE_FILE_SYSTEM, type FileSystem } from '../write/file-system.ts';
import { temporaryName } from '../write/temporary-name.ts';
import { writeFailed } from '../write/write-failed.ts';

/**
 * Refuses a missing folder that could not be created, before long work: the nearest existing folder above it
 * must accept a new folder, which is removed at once.
 *
 * @throws QdyloraError WRITE_FAILED
 */
export function assertCanCreate(folder: string, fs: FileSystem = NODE_FILE_SYSTEM): void {
  const path = resolve(folder);
  let nearest = path;
  while (!fs.existsSync(nearest) && nearest !== dirname(nearest)) nearest = dirname(nearest);
  if (nearest === path) return;
  const [firstMissing] = relative(nearest, path).split(sep);
  const probe = temporaryName(join(nearest, firstMissing!));
  try {
    fs.mkdirSync(probe);
    fs.rmSync(probe, { recursive: true, force: true });
  } catch (cause) {
    throw writeFailed(folder, cause);
  }
}

/**
 * Creates a folder and its missing parents. Node's `recursive` option alone never returns where an existing
 * folder reports ENOENT for a new entry, as /proc does (Node 20, 2026).
 *
 * @returns the first folder that was created; undefined if none was missing
 * @throws QdyloraError WRITE_FAILED
 */
export function createFolder(folder: string, fs: FileSystem = NODE_FILE_SYSTEM): string | undefined {
  assertCanCreate(folder, fs);
  try {
    return fs.mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw writeFailed(folder, cause);
  }
}
