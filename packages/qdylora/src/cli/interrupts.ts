import { QdyloraError } from '@qdylora/contract';
import type { Terminal } from './terminal.ts';

export interface InterruptOptions {
  /** What happens after the first signal. */
  readonly stopping?: string | undefined;
  /** Seconds after SIGTERM and SIGHUP in which the process ends, saved or not. */
  readonly deadlineSeconds?: number;
  /** Ends the process by a signal. */
  readonly leave?: (signal: 'SIGINT' | 'SIGTERM') => void;
}

/** `stopping` of a command that has nothing to save. */
export const STOPPING = 'Stopping';

/** `docker stop` waits 10 s before it kills, Kubernetes 30 s, systemd 90 s. */
const DEADLINE_SECONDS = 8;

const interruption = (signal: string): QdyloraError =>
  new QdyloraError('ABORTED', { where: 'qdylora', problem: `The command was ended by ${signal}.` });

/**
 * Ends the process by the signal itself, which a shell shows as 130 or 143: `process.exit` would wait until
 * the op of the training thread has ended.
 */
function dieBy(signal: 'SIGINT' | 'SIGTERM'): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

/**
 * Runs work with an AbortSignal that Ctrl-C, SIGTERM and SIGHUP (the terminal was closed) fire, so that the
 * work saves and ends. A second Ctrl-C ends the process at once; so does the deadline after SIGTERM and
 * SIGHUP (`deadlineSeconds`). Under nohup the command continues when its terminal closes: Node would undo
 * what nohup does. The handlers are removed after the work.
 */
export async function withInterrupts<T>(
  { note, outlivesTerminal }: Pick<Terminal, 'note' | 'outlivesTerminal'>,
  work: (signal: AbortSignal) => Promise<T>,
  options: InterruptOptions = {},
): Promise<T> {
  const { stopping = 'Stopping and saving what is done', deadlineSeconds = DEADLINE_SECONDS } = options;
  const { leave = dieBy } = options;
  const controller = new AbortController();
  let deadline: NodeJS.Timeout | undefined;
  const onInterrupt = (): void => {
    if (controller.signal.aborted) return leave('SIGINT');
    note(`${stopping}; Ctrl-C again quits at once.`);
    controller.abort(interruption('SIGINT'));
  };
  const leaveLate = (): void => {
    note(`Not done within ${deadlineSeconds} s: quitting. What was saved before is kept.`);
    leave('SIGTERM');
  };
  const stopSoon = (by: 'SIGTERM' | 'SIGHUP') => (): void => {
    if (deadline) return;
    note(`${stopping}, within ${deadlineSeconds} s.`);
    deadline = setTimeout(leaveLate, deadlineSeconds * 1000);
    controller.abort(interruption(by));
  };
  const onTerminate = stopSoon('SIGTERM');
  const onHangup = outlivesTerminal ? () => {} : stopSoon('SIGHUP');
  process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate).on('SIGHUP', onHangup);
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(deadline);
    process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate).off('SIGHUP', onHangup);
  }
}
