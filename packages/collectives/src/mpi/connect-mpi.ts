import { QdyloraError } from '@qdylora/contract';
import { callQueue } from '../call-queue.ts';
import { queuedCommunicator } from '../queued-communicator.ts';
import type { Communicator } from '../communicator.ts';
import { loadMpiAddon } from './mpi-addon.ts';
import { openFirstLibrary, type MpiLibrary } from './mpi-libraries.ts';

/** Options of `connectMpi`: the MPI libraries to try, and the time limit of a collective. */
export interface ConnectMpiOptions {
  /** The libraries to try, in this order. */
  readonly libraries: readonly MpiLibrary[];
  /**
   * Seconds that a collective may take before it fails; 0: any time. A worker that hangs, or whose host is
   * gone, would let the others wait for ever. 600 by default.
   */
  readonly timeoutSeconds?: number;
}

/** Seconds that a collective may take by default, with MPI and with NCCL. */
export const DEFAULT_TIMEOUT_SECONDS = 600;

/** MPICH's launcher drops what it has not read from a worker when that worker aborts: its error, for one. */
const LAUNCHER_READS_MS = 500;

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
  return queuedCommunicator(addon, queue, {
    rank,
    size,
    library: version.split(/[\n,]/)[0].replace(/\s+/g, ' '),
    abort(status = 1) {
      pause(LAUNCHER_READS_MS);
      addon.abort(status);
    },
    close: async () => {
      await queue.end(() => addon.finalize());
    },
  });
}

/** Blocks this thread: nothing of this process runs between an error and the end of the world. */
function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
