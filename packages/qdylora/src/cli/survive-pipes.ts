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
 * Whoever read the notes may be gone (a terminal that was closed, a pager that has ended, a log on a full
 * disk): the work goes on without them.
 * Where nobody reads results any more (`| head -1`) the command ends without a word; where they cannot be
 * written, it says why. What a run writes is in its folder by then.
 */
export function survivePipes({ stdout, stderr, exit }: Process): void {
  stderr.on('error', () => {});
  stdout.on('error', ({ code, message }) => {
    if (code === 'EPIPE') exit(PIPE_GONE);
    stderr.write(`[qdylora] expected to write the result to standard output, got ${message}.\n`);
    exit(1);
  });
}
