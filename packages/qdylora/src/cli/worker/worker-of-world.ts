import type { Communicator } from '@qdylora/collectives';
import { QdyloraError, withParts } from '@qdylora/contract';

/** Whether an error says which worker it is of. */
const namesWorker = ({ where }: QdyloraError): boolean => where.startsWith('worker ');

/** The error as the command of a worker shows it: with the worker, since all print to one terminal. */
export function asErrorOfWorker(error: unknown, { rank, size }: Communicator): unknown {
  if (size === 1 || !QdyloraError.isInstance(error) || namesWorker(error)) return error;
  const { worker = rank } = error.details;
  return withParts(error, { where: `worker ${String(worker)} of ${size}: ${error.where}` });
}

/**
 * Whether all workers stop together (`isAgreed`), and the first one shows why. The others end without an
 * error: if they failed as well, the launcher could end the first one before it has shown anything.
 */
export const isShownByFirst = (error: unknown, { rank }: Communicator): boolean =>
  rank > 0 && QdyloraError.isInstance(error) && error.details.isAgreed === true && !namesWorker(error);
