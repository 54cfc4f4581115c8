import { hostname } from 'node:os';
import { gatherParts, type Communicator } from '@qdylora/collectives';
import { usableThreads } from '@qdylora/cpu-kernels';
import { allowedProcessors } from './processors.ts';

/** A worker, and the processors that it may run on. */
export interface PlacedWorker {
  readonly host: string;
  readonly processors: readonly number[];
}

/**
 * Threads of this worker: the processors that the launcher bound it to, and its share of those that other
 * workers of the host may use too. Null: as without a launcher. All workers call it.
 */
export async function threadsOfWorker(world: Communicator): Promise<number | null> {
  const placed: PlacedWorker = { host: hostname(), processors: allowedProcessors() };
  const parts = await gatherParts(world, new TextEncoder().encode(JSON.stringify(placed)));
  const workers = parts.map((part) => JSON.parse(new TextDecoder().decode(part)) as PlacedWorker);
  return shareOfThreads(workers, world.rank, usableThreads());
}

/**
 * Threads of the worker `rank`, at least 1. A processor that n workers may use counts 1/n.
 *
 * @param usable threads that the worker could keep busy alone, where quotas allow less than its processors
 * @returns null where no other worker uses its processors, or where they are unknown
 */
export function shareOfThreads(
  workers: readonly PlacedWorker[],
  rank: number,
  usable: number,
): number | null {
  const { host, processors } = workers[rank];
  const neighbours = workers.filter((worker) => worker.host === host);
  const users = processors.map(
    (processor) => neighbours.filter((worker) => worker.processors.includes(processor)).length,
  );
  if (users.every((count) => count === 1)) return null;
  const share = users.reduce((sum, count) => sum + 1 / count, 0) / processors.length;
  return Math.max(1, Math.floor(usable * share + 1e-9)); // 3 · 1/3 is a whole thread
}
