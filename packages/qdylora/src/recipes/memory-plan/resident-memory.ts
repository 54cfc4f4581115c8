import { readFileSync } from 'node:fs';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Resident set size of this process, all threads and the program included. */
export const residentBytes = (): number => process.memoryUsage.rss();

/** Peak resident set size: VmHWM on Linux, elsewhere by getrusage. */
export function peakResidentBytes(): number {
  try {
    const [, kibibytes] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    if (kibibytes) return Number(kibibytes) * 1024;
  } catch {
    /* no /proc here */
  }
  return process.resourceUsage().maxRSS * 1024;
}

/**
 * Number of collections until all garbage is freed. Of a released tokenizer, the first collection freed 0 to
 * 18 MB, the second up to 22 MB, the third 4 MB, further ones nothing (Node 20, 2026).
 */
const COLLECTIONS = 3;

/** Growth of the heap since the last call that is not worth collections, which take 10 to 300 ms each. */
const SMALL_GROWTH_BYTES = 2 * 2 ** 20;

function heapBytes(): number {
  const { used_heap_size: used, external_memory: external } = getHeapStatistics();
  return used + external;
}

/** The heap after the last collections. */
let collectedBytes = 0;

/**
 * Frees what loading left in the JavaScript heap (parsed files, rows as text). V8 would keep it until it
 * needs room, because it does not know about the arrays outside. Does nothing where the heap has hardly grown
 * since the last call.
 */
export function collectGarbage(): void {
  if (heapBytes() < collectedBytes + SMALL_GROWTH_BYTES) return;
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let i = 0; i < COLLECTIONS; i++) collect();
  collectedBytes = heapBytes();
}

/** Resident memory of the process when `part` had been loaded. */
export interface ProcessMark {
  readonly part: string;
  readonly residentBytes: number;
}

/** Records the resident memory now, after a collection, for `part`. */
export function markProcess(marks: ProcessMark[], part: string): void {
  collectGarbage();
  marks.push({ part, residentBytes: residentBytes() });
}
