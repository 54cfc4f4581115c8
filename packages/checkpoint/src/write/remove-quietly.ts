import type { FileSystem } from './file-system.ts';

/** Removes a file or folder of ours, if it exists. */
export function removeQuietly(path: string, fs: FileSystem): void {
  try {
    fs.rmSync(path, { recursive: true, force: true });
  } catch {
    /* an orphan stays; cleanOrphans finds it */
  }
}
