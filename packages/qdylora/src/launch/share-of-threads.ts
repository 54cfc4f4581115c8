import type { PlacedWorker } from './place-workers.ts';

/**
 * Threads of the worker `rank`, at least 1: the processors that the launcher bound it to, and its share of
 * those that other workers of the host may use too. A processor that n workers may use counts 1/n.
 *
 * @param usable threads that the worker could keep busy alone, where quotas allow less than its processors
 * @returns null where no other worker uses its processors, or where they are unknown
 */
export function shareOfThreads(
  workers: readonly Pick<PlacedWorker, 'host' | 'processors'>[],
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
