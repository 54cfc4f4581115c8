import { DisposedError, QdyloraError, shownValue } from '@qdylora/contract';
import { assertGathered, assertRoot } from '../check-arrays.ts';
import type { Communicator, Reduction } from '../communicator.ts';
import { loadMpiAddon } from './mpi-addon.ts';
import { openFirstLibrary, type MpiLibrary } from './mpi-libraries.ts';

export interface ConnectMpiOptions {
  /** The libraries to try, in this order. */
  readonly libraries: readonly MpiLibrary[];
  /**
   * Seconds that a collective may take before it fails; 0: any time. A worker that hangs, or whose host is
   * gone, would let the others wait for ever. 600 by default.
   */
  readonly timeoutSeconds?: number;
}

export const DEFAULT_TIMEOUT_SECONDS = 600;

/** In the order of native/mpi-library.h. */
const REDUCTIONS: readonly Reduction[] = ['sum', 'max', 'min'];

/**
 * Joins the world of an MPI launcher. MPI is initialized once for the process.
 *
 * @throws QdyloraError UNSUPPORTED where no library can be opened, or where it refuses calls from other
 * threads
 */
export function connectMpi({
  libraries,
  timeoutSeconds = DEFAULT_TIMEOUT_SECONDS,
}: ConnectMpiOptions): Communicator {
  const addon = loadMpiAddon();
  const { rank, size, threads, version } = openFirstLibrary(addon, libraries);
  if (threads === 0)
    throw new QdyloraError('UNSUPPORTED', {
      where: 'mpi',
      problem: 'The MPI library refuses calls from other threads than the first (MPI_THREAD_SERIALIZED)',
      nextStep: 'Use a library that was built with support for threads.',
    });
  const queue = callQueue({ rank, size, timeoutSeconds });
  const close = (): Promise<void> => queue.end(() => addon.finalize());
  return {
    rank,
    size,
    library: version.split(/[\n,]/)[0].replace(/\s+/g, ' '),
    allReduce(values, reduction = 'sum') {
      const index = REDUCTIONS.indexOf(reduction);
      return queue.run('all-reduce', () => {
        if (index < 0) throw unknownReduction(reduction);
        return addon.allReduce(values, index);
      });
    },
    broadcast: (values, root = 0) =>
      queue.run('broadcast', () => {
        assertRoot(root, size);
        return addon.broadcast(values, root);
      }),
    allGather: (part, all) =>
      queue.run('all-gather', () => {
        assertGathered('all-gather', part, all, { partLength: part.length, size });
        return addon.allGather(part, all);
      }),
    allToAll: (parts, received) =>
      queue.run('all-to-all', () => {
        assertGathered('all-to-all', parts, received, { partLength: parts.length / size, size });
        return addon.allToAll(parts, received);
      }),
    barrier: () => queue.run('barrier', () => addon.barrier()),
    abort: (status = 1) => addon.abort(status),
    close,
    [Symbol.asyncDispose]: close,
  };
}

const unknownReduction = (reduction: unknown): QdyloraError =>
  new QdyloraError('BAD_ARGUMENT', {
    where: 'all-reduce',
    problem: `The reduction must be one of ${REDUCTIONS.join(', ')} (got ${shownValue(reduction)})`,
  });

interface World {
  readonly rank: number;
  readonly size: number;
  readonly timeoutSeconds: number;
}

/** Runs calls one after the other, as `MPI_THREAD_SERIALIZED` demands. The first failure is the last call. */
function callQueue(world: World) {
  let last: Promise<void> = Promise.resolve();
  let failure: QdyloraError | null = null;
  let isEnded = false;
  return {
    run(name: string, call: () => Promise<void>): Promise<void> {
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
    /** After a failure the library could wait for ever in `end`: it is left out. */
    async end(finish: () => void): Promise<void> {
      if (isEnded) return;
      isEnded = true;
      await last;
      if (!failure) finish();
    },
  };
}

/** The call, or an error after the time-out. MPI itself cannot be interrupted. */
async function withinTime(name: string, call: Promise<void>, { timeoutSeconds }: World): Promise<void> {
  if (timeoutSeconds === 0) return call;
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`It did not end within ${timeoutSeconds} seconds.`));
    }, timeoutSeconds * 1000);
  });
  try {
    await Promise.race([call, expiry]);
  } finally {
    clearTimeout(timer);
  }
}

const failed = (name: string, error: Error, { rank, size }: World): QdyloraError =>
  new QdyloraError('COLLECTIVE_FAILED', {
    where: `worker ${rank} of ${size}`,
    problem: `The collective ${name} failed: ${error.message}`,
    nextStep:
      'Look at the messages of the other workers: one of them has ended, hangs, or cannot be reached.',
    details: { collective: name, rank, size },
    cause: error,
  });
