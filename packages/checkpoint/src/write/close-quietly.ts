import type { FileSystem } from './file-system.ts';

/** Closes a file after an error, which is the one to report. */
export function closeQuietly(fd: number, fs: FileSystem): void {
  try {
    fs.closeSync(fd);
  } catch {
    /* the first error is the one to tell */
  }
}
