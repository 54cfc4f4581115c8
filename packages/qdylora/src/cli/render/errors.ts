import { QdyloraError } from '@qdylora/contract';
import type { Terminal } from '../terminal.ts';
import { visibleText } from './visible-text.ts';

/**
 * An error as text: what happened, then what to do; the stack only with `--debug`. A message may quote a
 * file, so control characters are replaced.
 */
export function errorText(error: unknown, { paint }: Pick<Terminal, 'paint'>, isDebug: boolean): string {
  const lines = QdyloraError.isInstance(error)
    ? errorLines(error, paint)
    : [paint('red', `[qdylora] ${visibleText(messageOf(error))}`), adviceFor(error)];
  if (isDebug && error instanceof Error) lines.push(paint('dim', visibleText(stackOf(error))));
  return lines.join('\n');
}

/** What to do about errors of the operating system that a user can mend. */
const SYSTEM_ADVICE: Readonly<Record<string, string>> = {
  EACCES: 'Allow access to it, or name another place.',
  EPERM: 'Allow access to it, or name another place.',
  EROFS: 'The disk is read-only: name another place.',
  ENOSPC: 'The disk is full: make room, or name another place.',
  EMFILE: 'Too many files are open: raise the limit (ulimit -n).',
};

const adviceFor = (error: unknown): string =>
  SYSTEM_ADVICE[String((error as { code?: unknown } | null)?.code)] ??
  'This should not have happened. --debug shows where; please report it.';

function errorLines({ name, message, nextStep }: QdyloraError, paint: Terminal['paint']): string[] {
  const kind = name === 'QdyloraError' ? '' : ` (${name})`;
  if (!nextStep || !message.endsWith(nextStep)) return [paint('red', visibleText(message) + kind)];
  return [
    paint('red', visibleText(message.slice(0, -nextStep.length).trimEnd()) + kind),
    visibleText(nextStep),
  ];
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const stackOf = (error: Error): string =>
  [error.stack ?? '', ...(error.cause instanceof Error ? [`caused by ${stackOf(error.cause)}`] : [])].join(
    '\n',
  );

/** An error as a program reads it. */
export const errorJson = (error: unknown): object => ({
  error: QdyloraError.isInstance(error)
    ? { code: error.code, name: error.name, where: error.where, message: error.message }
    : { code: 'UNKNOWN', name: 'Error', where: 'qdylora', message: messageOf(error) },
});
