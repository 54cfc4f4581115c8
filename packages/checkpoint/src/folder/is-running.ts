import { readFileSync } from 'node:fs';

/** True if a process of this machine, of any user, has that number and has not ended. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as { code?: string }).code === 'ESRCH') return false; // EPERM: another user's process
  }
  return !hasEnded(pid);
}

/**
 * True for a process that has ended but keeps its number until its parent asks for its status, which some
 * never do (proc(5): the state after the name in parentheses is Z or X).
 */
function hasEnded(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return /^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false; // the system does not provide it
  }
}
