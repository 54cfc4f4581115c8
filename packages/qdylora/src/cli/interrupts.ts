import { QdyloraError } from '@qdylora/contract';
import type { Terminal } from './terminal.ts';

const INTERRUPTED = 130;

const interruption = (signal: string): QdyloraError => new QdyloraError('ABORTED', { where: 'qdylora', problem: `expected to finish, got ${signal}` });

/** Runs work whose signal Ctrl-C and SIGTERM fire; a second Ctrl-C leaves at once. The handlers go with the work. */
export async function withInterrupts<T>({ note }: Pick<Terminal, 'note'>, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const onInterrupt = (): void => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    note('Stopping after the pass that runs; Ctrl-C again leaves at once.');
    controller.abort(interruption('SIGINT'));
  };
  const onTerminate = (): void => controller.abort(interruption('SIGTERM'));
  process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate);
  }
}
