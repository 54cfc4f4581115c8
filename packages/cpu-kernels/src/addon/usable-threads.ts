import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { posix } from 'node:path';

export interface ThreadSources {
  /**
   * Cores that the scheduler may put this process on: Node's own count respects its affinity, and only newer
   * ones the quotas of its control groups.
   */
  readonly cores?: number;
  /** A file's text; throws where there is none. */
  readonly readFile?: (path: string) => string;
}

/**
 * Threads that this process can keep busy: its cores, and no more than the CPU quotas of its control groups
 * and their parents pay for (a part of a core counts as one:
 * 1.5 cores are more than 1). Both versions of control groups are read; where neither is there only the cores
 * count.
 */
export function usableThreads({
  cores = availableParallelism(),
  readFile = (path) => readFileSync(path, 'utf8'),
}: ThreadSources = {}): number {
  const read = (path: string): string => {
    try {
      return readFile(path);
    } catch {
      return '';
    }
  };
  const quotas = read('/proc/self/cgroup')
    .split('\n')
    .flatMap((line) => {
      const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
      if (path === undefined) return [];
      if (controllers === '')
        return parentsOf(path).map((group) => coresOf(read(`/sys/fs/cgroup${group}/cpu.max`)));
      if (!controllers!.split(',').includes('cpu')) return [];
      return [controllers!, 'cpu'].flatMap((mount) =>
        parentsOf(path).map((group) => {
          const file = (name: string): string =>
            read(`/sys/fs/cgroup/${mount}${group}/cpu.cfs_${name}_us`).trim();
          return coresOf(`${file('quota')} ${file('period')}`);
        }),
      );
    });
  return Math.max(1, Math.min(cores, ...quotas.map(Math.ceil)));
}

/**
 * `/a/b` → `/a/b`, `/a` and the root (''). In a container the path may be the host's: then only the root's
 * file exists.
 */
function parentsOf(path: string): string[] {
  const groups = [];
  for (let group = posix.normalize(path); group !== '/' && group !== '.'; group = posix.dirname(group))
    groups.push(group.replace(/\/$/, ''));
  return [...groups, ''];
}

/** `150000 100000` (microseconds of CPU time in each so many) → 1.5; no limit (`max`, -1, no file) → ∞. */
function coresOf(quotaAndPeriod: string): number {
  const [quota, period] = quotaAndPeriod.trim().split(/\s+/).map(Number) as [number, number | undefined];
  return quota > 0 && period !== undefined && period > 0 ? quota / period : Infinity;
}
