import { execFileSync } from 'node:child_process';
import type { TestContext } from 'vitest';
import { temporaryFolder } from './temporary-folder.ts';

/**
 * Runs `body` in a folder that is a disk of 64 KiB; skips the test, with the system's reason, where none can
 * be mounted.
 */
export function withSmallDisk(context: Pick<TestContext, 'skip'>, body: (folder: string) => void): void {
  const folder = temporaryFolder();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', folder], { stdio: 'pipe' });
  } catch (error) {
    return context.skip(
      `a small tmpfs cannot be mounted here: ${(error as Error).message.trim().split('\n').at(-1)}`,
    );
  }
  try {
    body(folder);
  } finally {
    execFileSync('umount', [folder]);
  }
}
