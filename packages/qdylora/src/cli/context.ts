import type { Terminal } from './terminal.ts';

/** What every command gets. */
export interface Context {
  readonly terminal: Terminal;
  /** The words of the command line, without `node` and the script. */
  readonly argv: readonly string[];
  /** The script of the training thread; null: training runs in the thread of the command. */
  readonly trainWorker: URL | null;
  /** Folder of the files of the page that `serve` shows. */
  readonly page: URL;
  /**
   * Runs work with a signal that the first Ctrl-C, SIGTERM and SIGHUP fire. A second Ctrl-C ends the process;
   * so does the deadline after SIGTERM and SIGHUP (`withInterrupts`). `stopping` says what happens after the
   * first one.
   */
  interruptible<T>(work: (signal: AbortSignal) => Promise<T>, stopping?: string): Promise<T>;
}

/** Flags of every command that are not keys. */
export interface CommonFlags {
  readonly json?: boolean;
  readonly debug?: boolean;
}

/** Prints a result: one JSON document, or lines of text. */
export function printResult(
  { terminal }: Context,
  { json }: CommonFlags,
  document: unknown,
  lines: () => readonly string[],
): void {
  if (json) terminal.out(JSON.stringify(document, null, 2));
  else for (const line of lines()) terminal.out(line);
}
