import { closeQuietly } from './close-quietly.ts';
import type { FileSystem } from './file-system.ts';

/** Makes a folder's entries durable. Windows cannot open folders, and does not need this. */
export function syncFolder(path: string, fs: FileSystem): void {
  if (process.platform !== 'win32') syncPath(path, fs);
}

/** fsync of a file or folder by name. */
function syncPath(path: string, fs: FileSystem): void {
  const fd = fs.openSync(path, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    closeQuietly(fd, fs);
  }
}

/**
 * fsync in the background, with the system's threads. A failure is a rejection of the returned promise only.
 */
export async function syncPathInBackground(path: string, fs: FileSystem): Promise<void> {
  const fd = fs.openSync(path, 'r');
  try {
    await syncInBackground(fd, fs);
  } finally {
    closeQuietly(fd, fs);
  }
}

/** fsync of an open file in the background. */
export const syncInBackground = (fd: number, fs: FileSystem): Promise<void> =>
  new Promise((resolve, reject) => {
    fs.fsync(fd, (error) => (error ? reject(error) : resolve()));
  });
