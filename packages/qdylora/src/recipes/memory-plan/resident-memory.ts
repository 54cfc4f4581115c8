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
 * Collections until all garbage is freed. The first one frees objects, the second the arrays that they held,
 * and the third what is left of a released tokenizer, where the second freed much (Node 20, 2026).
 */
const FEWEST_COLLECTIONS = 2;
const MOST_COLLECTIONS = 3;

/** Bytes that are not worth a collection, which takes 10 to 300 ms. */
const FEW_BYTES = 8 * 2 ** 20;

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
 *
 * @param findCollector looks for the engine's `gc`; null where it shows none (Bun): nothing happens then
 */
export function collectGarbage(findCollector: () => (() => void) | null = exposedGc): void {
  if (heapBytes() < collectedBytes + FEW_BYTES) return;
  const collect = findCollector();
  if (!collect) return;
  let freed = Infinity;
  for (let i = 0; i < FEWEST_COLLECTIONS || (i < MOST_COLLECTIONS && freed > FEW_BYTES); i++) {
    const before = heapBytes();
    collect();
    freed = before - heapBytes();
  }
  collectedBytes = heapBytes();
}

function exposedGc(): (() => void) | null {
  setFlagsFromString('--expose-gc');
  return (runInNewContext('globalThis.gc') as (() => void) | undefined) ?? null;
}

/** Resident memory of the process when `part` had been loaded. */
export interface ProcessMark {
  readonly part: string;
  readonly residentBytes: number;
}

/**
 * Records the resident memory now for `part`. Garbage counts: it takes 50 to 100 ms to collect, and a
 * forecast does that before it divides what is left among the parts.
 */
export function markProcess(marks: ProcessMark[], part: string): void {
  marks.push({ part, residentBytes: residentBytes() });
}
