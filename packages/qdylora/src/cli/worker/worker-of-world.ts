import { availableParallelism, cpus } from 'node:os';
import { readLauncher, type Communicator } from '@qdylora/collectives';
import { QdyloraError, withParts } from '@qdylora/contract';

/**
 * Threads of this worker: all processors that the launcher bound it to. Where it did not bind it, the workers
 * of a host share the processors. Null: as without a launcher.
 */
export function threadsOfWorker(): number | null {
  const localSize = readLauncher(process.env)?.localSize ?? 1;
  const isBound = availableParallelism() < cpus().length;
  return isBound || localSize <= 1 ? null : Math.max(1, Math.floor(availableParallelism() / localSize));
}

/** The error with the worker that has it: all workers of a run print to one terminal. */
export function withWorkerName(error: unknown, { rank, size }: Communicator): unknown {
  if (size === 1 || !QdyloraError.isInstance(error) || error.where.startsWith('worker ')) return error;
  return withParts(error, { where: `worker ${rank} of ${size}: ${error.where}` });
}
