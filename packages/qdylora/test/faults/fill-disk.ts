import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

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
