import { assertArgument, DisposedError, QdyloraError, shownValue } from '@qdylora/contract';

export interface QueueOptions {
  readonly rank: number;
  readonly size: number;
  /** 0, or more than 24.8 days: without a limit. */
  readonly timeoutSeconds: number;
}

/** Longest time-out, 2³¹ − 1 ms (24.8 days): Node fires longer timers at once, so none is set. */
const LONGEST_TIMER_SECONDS = (2 ** 31 - 1) / 1000;

/** Runs calls one after the other. The first failure is the last call. */
export interface CallQueue {
  /** @throws QdyloraError COLLECTIVE_FAILED, DISPOSED */
  run(name: string, call: () => Promise<void>): Promise<void>;
  /**
   * Ends the queue. Calls `finish` unless a call has failed, because the library could then wait for ever.
   *
   * @returns true if `finish` was called
   */
  end(finish: () => void | Promise<void>): Promise<boolean>;
}

/** @throws QdyloraError BAD_ARGUMENT unless `timeoutSeconds` is a number ≥ 0 */
export function callQueue(world: QueueOptions): CallQueue {
  const { timeoutSeconds } = world;
  assertArgument(
    timeoutSeconds >= 0,
    'collectives',
    `timeoutSeconds must be a number ≥ 0 (got ${shownValue(timeoutSeconds)})`,
  );
  let last: Promise<void> = Promise.resolve();
  let failure: QdyloraError | null = null;
  let isEnded = false;
  return {
    run(name, call) {
      if (isEnded) return Promise.reject(new DisposedError('communicator'));
      const result = last.then(async () => {
        if (failure) throw failure;
        try {
          await withinTime(name, call(), world);
        } catch (error) {
          if (QdyloraError.isInstance(error) && error.code === 'BAD_ARGUMENT') throw error;
          throw (failure = failed(name, error as Error, world));
        }
      });
      last = result.catch(() => {});
      return result;
    },
    async end(finish) {
      if (isEnded) return false;
      isEnded = true;
      await last;
      if (failure) return false;
      await finish();
      return true;
    },
  };
}

/** The call, or an error after the time-out. The library itself cannot be interrupted. */
async function withinTime(
  name: string,
  call: Promise<void>,
  { timeoutSeconds }: QueueOptions,
): Promise<void> {
  if (timeoutSeconds === 0 || timeoutSeconds > LONGEST_TIMER_SECONDS) return call;
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise<never>((_, reject) => {
    const end = (): void => {
      reject(new Error(`It did not end within ${timeoutSeconds} seconds.`));
    };
    timer = setTimeout(end, timeoutSeconds * 1000);
  });
  try {
    await Promise.race([call, expiry]);
  } finally {
    clearTimeout(timer);
  }
}

const failed = (name: string, error: Error, { rank, size }: QueueOptions): QdyloraError =>
  new QdyloraError('COLLECTIVE_FAILED', {
    where: `worker ${rank} of ${size}`,
    problem: `The collective ${name} failed: ${error.message}`,
    nextStep:
      'Look at the messages of the other workers: one of them has ended, hangs, or cannot be reached.',
    details: { collective: name, rank, size, ...resultOf(error) },
    cause: error,
  });

/** The call of the library that failed and its result, where the addon names them. */
const resultOf = ({ call, result }: Error & { readonly call?: string; readonly result?: number }) =>
  call === undefined ? {} : { call, result };
