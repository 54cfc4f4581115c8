import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Signs that the workers of `qdylora launch` leave in a folder of this machine. Launchers end all workers as
 * soon as one has failed, and may lose what it printed last.
 */
type SignKind = 'finished' | 'error';

const fileOf = (folder: string, kind: SignKind, rank: number): string => join(folder, `${kind}-${rank}`);

/** Leaves a sign. */
export function leaveSign(folder: string, kind: SignKind, rank: number, text = ''): void {
  try {
    writeFileSync(fileOf(folder, kind, rank), text);
  } catch {
    // the launcher has ended, or its disk is full: the worker still prints its error
  }
}

/** Whether a worker said that it has finished. */
export const hasFinished = (folder: string, rank: number): boolean =>
  existsSync(fileOf(folder, 'finished', rank));

/** Workers that have finished. */
export const countFinished = (folder: string): number =>
  readdirSync(folder).filter((name) => name.startsWith('finished-')).length;

/** The error that a worker ended with; null: none. */
export function errorOf(folder: string, rank: number): string | null {
  const file = fileOf(folder, 'error', rank);
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : null;
}
