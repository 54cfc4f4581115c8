import type { TestContext } from 'vitest';
import { mountSmallDisk } from './mount-small-disk.ts';
import { temporaryFolder } from './temporary-folder.ts';

/**
 * Runs `body` in a folder that is a disk of 64 KiB; skips the test, with the system's reason, where none can
 * be mounted.
 */
export function withSmallDisk(context: Pick<TestContext, 'skip'>, body: (folder: string) => void): void {
  const folder = temporaryFolder();
  let disk: Disposable;
  try {
    disk = mountSmallDisk(folder, '64k');
  } catch (error) {
    return context.skip((error as Error).message);
  }
  try {
    body(folder);
  } finally {
    disk[Symbol.dispose]();
  }
}
