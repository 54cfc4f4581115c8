interface Stream {
  on(event: 'error', listener: (error: Error & { readonly code?: string }) => void): unknown;
  write(text: string): unknown;
}
interface Process {
  readonly stdout: Stream;
  readonly stderr: Stream;
  exit(code: number): never;
}

/** As a shell reports a program that SIGPIPE has ended. */
const PIPE_GONE = 141;

/**
 * Keeps the work going when the reader of standard error is gone (a closed terminal, an ended pager, a log on
 * a full disk). Where the reader of standard output is gone (`| head -1`), the command ends silently; where
 * results cannot be written for another reason, it says why. Files of a run are in its folder by then.
 */
export function survivePipes({ stdout, stderr, exit }: Process): void {
  stderr.on('error', () => {});
  stdout.on('error', ({ code, message }) => {
    if (code === 'EPIPE') exit(PIPE_GONE);
    stderr.write(`[qdylora] The result could not be written to standard output: ${message}.\n`);
    exit(1);
  });
}
