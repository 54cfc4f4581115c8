import type { Terminal } from './terminal.ts';

/** What every command gets. */
export interface Context {
  readonly terminal: Terminal;
  /** The script of the training thread; null: training runs in the command's own thread. */
  readonly trainWorker: URL | null;
  /** Runs long work with a signal that Ctrl-C (once) and SIGTERM fire; Ctrl-C again leaves at once. */
  interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

/** Flags of every command that are no keys. */
export interface CommonFlags {
  readonly json?: boolean;
  readonly debug?: boolean;
}

/** Prints a result: one JSON document, or lines for a person. */
export function printResult(
  { terminal }: Context,
  { json }: CommonFlags,
  document: unknown,
  lines: () => readonly string[],
): void {
  if (json) terminal.out(JSON.stringify(document, null, 2));
  else for (const line of lines()) terminal.out(line);
}
