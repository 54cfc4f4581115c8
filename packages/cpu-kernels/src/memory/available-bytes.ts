import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { controlGroups, orEmpty } from '../control-groups.ts';

/** Memory figures as Node reports them, in bytes. */
export interface MemorySources {
  /** Limit minus use of the control group; without a limit, what the system can give. */
  readonly available?: number;
  /** The limit of the control group; 0 without one. */
  readonly limit?: number;
  /** What the system can give, limits aside. */
  readonly free?: number;
  /** A file's text; throws where there is none. */
  readonly readFile?: (path: string) => string;
}

const node = process as { availableMemory?: () => number; constrainedMemory?: () => number };

/**
 * Bytes that the system can still give, a container's limit included.
 *
 * A control group counts the files that it has read as used, although the system drops them when memory is
 * needed. They are available here.
 */
export function availableBytes({
  free = freemem(),
  available = node.availableMemory?.() ?? free,
  limit = node.constrainedMemory?.() ?? 0,
  readFile = (path) => readFileSync(path, 'utf8'),
}: MemorySources = {}): number {
  if (!(limit > 0 && available < free)) return available;
  return Math.min(available + cachedFileBytes(orEmpty(readFile)), free, limit);
}

/** Bytes of files that the innermost control group of this process holds in memory. */
function cachedFileBytes(read: (path: string) => string): number {
  for (const { version, folder } of controlGroups('memory', read)) {
    const stat = read(`${folder}/memory.stat`);
    if (stat === '') continue;
    const prefix = version === 1 ? 'total_' : ''; // with its children
    return bytesOf(stat, `${prefix}inactive_file`) + bytesOf(stat, `${prefix}active_file`);
  }
  return 0;
}

const bytesOf = (stat: string, name: string): number =>
  Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0);
