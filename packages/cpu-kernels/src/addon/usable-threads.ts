import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { controlGroups, orEmpty } from '../control-groups.ts';

/** The largest team of threads. */
export const MOST_THREADS = 1024;

/** Where `usableThreads` gets the number of cores and the CPU quotas; tests replace them. */
export interface ThreadSources {
  /**
   * Cores that the scheduler may put this process on. Default: Node's own count, which respects its affinity,
   * and only in newer versions the quotas of its control groups.
   */
  readonly cores?: number;
  /** A file's text; throws where there is none. Default: `readFileSync`. */
  readonly readFile?: (path: string) => string;
}

/**
 * Threads that this process can keep busy: its cores, and no more than the CPU quotas of its control groups
 * and their parents pay for, rounded up to whole cores. Both versions of control groups are read. Where there
 * is neither, only the cores count.
 */
export function usableThreads({
  cores = availableParallelism(),
  readFile = (path) => readFileSync(path, 'utf8'),
}: ThreadSources = {}): number {
  const read = orEmpty(readFile);
  const quotas = controlGroups('cpu', read).map(({ version, folder }) =>
    version === 2
      ? coresOf(read(`${folder}/cpu.max`))
      : coresOf(`${read(`${folder}/cpu.cfs_quota_us`).trim()} ${read(`${folder}/cpu.cfs_period_us`).trim()}`),
  );
  return Math.max(1, Math.min(MOST_THREADS, cores, ...quotas.map(Math.ceil)));
}

/** `150000 100000` (microseconds of CPU time in each so many) → 1.5; no limit (`max`, -1, no file) → ∞. */
function coresOf(quotaAndPeriod: string): number {
  const [quota, period] = quotaAndPeriod.trim().split(/\s+/).map(Number) as [number, number | undefined];
  return quota > 0 && period !== undefined && period > 0 ? quota / period : Infinity;
}
