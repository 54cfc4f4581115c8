import type { Communicator } from '@qdylora/collectives';
import { QdyloraError, withParts } from '@qdylora/contract';

/**
 * The error as the command of a worker shows it: with the worker, since all print to one terminal. Where all
 * workers stop together (`isAgreed`), the first one shows it for the worker that was asked to stop, and the
 * others show nothing and do not fail (`isShownByFirst`).
 */
export function asErrorOfWorker(error: unknown, { rank, size }: Communicator): unknown {
  if (size === 1 || !QdyloraError.isInstance(error) || error.where.startsWith('worker ')) return error;
  const { isAgreed, worker = rank } = error.details;
  const where = `worker ${String(worker)} of ${size}: ${error.where}`;
  if (!isAgreed || rank === 0) return withParts(error, { where });
  const details = { ...error.details, isShownByFirst: true };
  return new QdyloraError(error.code, { where, problem: 'The workers stop', details, cause: error });
}

/** Whether the first worker shows the error of this one. */
export const isShownByFirst = (error: unknown): boolean =>
  QdyloraError.isInstance(error) && error.details.isShownByFirst === true;
