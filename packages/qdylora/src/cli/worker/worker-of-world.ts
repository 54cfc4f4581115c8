import type { Communicator } from '@qdylora/collectives';
import { QdyloraError, withParts } from '@qdylora/contract';

/** The error with the worker that has it: all workers of a run print to one terminal. */
export function withWorkerName(error: unknown, { rank, size }: Communicator): unknown {
  if (size === 1 || !QdyloraError.isInstance(error) || error.where.startsWith('worker ')) return error;
  return withParts(error, { where: `worker ${rank} of ${size}: ${error.where}` });
}
