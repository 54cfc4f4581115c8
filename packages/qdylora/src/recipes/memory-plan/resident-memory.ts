import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes of RAM that this process has now: all threads, the program itself included. */
export const residentBytes = (): number => process.memoryUsage.rss();

/** The most that it ever had: VmHWM on Linux, elsewhere what getrusage says. */
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
 * How often garbage is collected until the process has lost all of it: 10 ms each. Of a tokenizer that nobody
 * holds any more, the first gave back 0 to 18 MB, the second up to 22 MB, the third 4 MB, and further ones
 * nothing (Node 20, 2026).
 */
const COLLECTIONS = 3;

/**
 * Gives back what loading left in the JavaScript heap (parsed files, rows as text): V8 would keep it until it
 * needs room, beside arrays that it does not know of.
 */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let i = 0; i < COLLECTIONS; i++) collect();
}

/**
 * Resident memory of the process at moments before its first step, in their order: what it had when `part`
 * was there.
 */
export interface ProcessMark {
  readonly part: string;
  readonly residentBytes: number;
}

/** Notes what the process has now, garbage aside, as the moment at which `part` was there. */
export function markProcess(marks: ProcessMark[], part: string): void {
  collectGarbage();
  marks.push({ part, residentBytes: residentBytes() });
}
