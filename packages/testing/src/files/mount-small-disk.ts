import { execFileSync } from 'node:child_process';

/**
 * Mounts a disk in memory at a folder; it is unmounted when the result is disposed.
 *
 * @param size as `mount` takes it: `64k`
 * @throws Error with the system's reason where this process may not (not root, or not Linux)
 */
export function mountSmallDisk(folder: string, size: string): Disposable {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'none', folder], { stdio: 'pipe' });
  } catch (error) {
    const reason = (error as Error).message.trim().split('\n').at(-1);
    throw new Error(`a small tmpfs cannot be mounted here: ${reason}`, { cause: error });
  }
  return {
    [Symbol.dispose]() {
      execFileSync('umount', [folder]);
    },
  };
}
