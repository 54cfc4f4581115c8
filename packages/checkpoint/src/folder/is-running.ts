import { readFileSync } from 'node:fs';

/**
 * True where a process of this machine has that number and has not ended, also where it is somebody else's.
 */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as { code?: string }).code === 'ESRCH') return false; // EPERM: somebody else's, but alive
  }
  return !hasEnded(pid);
}

/**
 * A killed process keeps its number until its parent asks how it ended, which some never do (proc(5): the
 * state behind the name in parentheses is Z or X).
 */
function hasEnded(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return /^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false; // not a system that tells
  }
}
