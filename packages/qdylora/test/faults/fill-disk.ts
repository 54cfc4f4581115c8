import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes of the disk that `mountSmallDisk` makes: some checkpoints, and quickly filled. */
const DISK = '64m';

/**
 * Mounts a small disk in memory at a new folder; null where this process may not (not root, or not Linux).
 */
export function mountSmallDisk(folder: string): (Disposable & { readonly folder: string }) | null {
  mkdirSync(folder, { recursive: true });
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'qdylora-faults', folder]);
  if (mount.status !== 0) return null;
  return {
    folder,
    [Symbol.dispose]() {
      spawnSync('umount', ['--lazy', folder]);
    },
  };
}

/** Fills the disk of a folder to the last byte, until it is disposed. */
export function fillDisk(folder: string): Disposable {
  const path = join(folder, 'filler');
  const file = openSync(path, 'w');
  for (let size = 2 ** 20; size >= 1; size = Math.floor(size / 4)) {
    const block = new Uint8Array(size);
    try {
      while (writeSync(file, block) > 0);
    } catch {
      // a smaller block may still fit
    }
  }
  closeSync(file);
  return {
    [Symbol.dispose]() {
      rmSync(path, { force: true });
    },
  };
}
