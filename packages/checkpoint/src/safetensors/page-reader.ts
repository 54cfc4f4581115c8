import * as nodeFs from 'node:fs';
import { PAGE_BYTES } from '../write/write-blocks.ts';
import { fasterWay } from './faster-way.ts';

/** Room that a read of whole pages needs beyond its bytes. */
export const PAGES_AROUND = 2 * PAGE_BYTES;

/** Reads one open file by the system's threads, through its cache or past it. */
export interface PageReader {
  /** Reads `length` bytes at `offset` into some part of `place`, which is PAGES_AROUND longer, and returns that part. Only a place that begins on a page is read into past the cache. */
  read(place: Uint8Array, offset: number, length: number): Promise<Uint8Array>;
  close(): void;
}

/**
 * Past the cache the processor has nothing to copy and no page to find: 2.3 GB/s with 0.02 core-seconds a GB, where a file that is not in the cache yet came through it at 1.0 to 1.8 GB/s with 0.35
 * (2 cores, 2026; a model of 4.6 GB is quantized in 3.2 s instead of 4.3 to 17 s). One that is in the cache of a slow disk is faster through it: what was faster is taken.
 *
 * @param through reads through the cache; all of it or an error
 */
export function pageReader(fd: number, through: (target: Uint8Array, offset: number) => Promise<void>, now: () => number = () => performance.now()): PageReader {
  let direct = openDirect(fd), isRefused = false;
  const ways = fasterWay(['through', 'past'] as const);
  return {
    async read(place, offset, length) {
      const shift = offset % PAGE_BYTES, part = place.subarray(shift, shift + length), way = direct === null || isRefused ? 'through' : ways.next(), start = now();
      const isRead = way === 'past' && await readPages(direct!, place.subarray(0, Math.ceil((shift + length) / PAGE_BYTES) * PAGE_BYTES), offset - shift, shift + length);
      if (!isRead) {
        isRefused ||= way === 'past'; // the descriptor stays: other reads may be under way
        await through(part, offset);
      }
      ways.took(way, length, now() - start);
      return part;
    },
    close() {
      if (direct !== null) nodeFs.closeSync(direct);
      direct = null;
    },
  };
}

/** The same file, opened once more by its descriptor; null where the system or the file system has no way past its cache. */
function openDirect(fd: number): number | null {
  const { O_DIRECT: past, O_RDONLY: reading } = nodeFs.constants as { readonly O_DIRECT?: number; readonly O_RDONLY: number };
  if (past === undefined || process.platform !== 'linux') return null;
  try {
    return nodeFs.openSync(`/proc/self/fd/${fd}`, reading | past);
  } catch {
    return null;
  }
}

/** Reads whole pages; false where the system refuses, or the file ends before `needed` bytes: who reads through the cache then says why. */
async function readPages(fd: number, pages: Uint8Array, offset: number, needed: number): Promise<boolean> {
  for (let done = 0; done < needed;) {
    const got = await new Promise<number>((resolve) => { nodeFs.read(fd, pages, done, Math.min(LARGEST_READ, pages.length - done), offset + done, (error, count) => resolve(error ? 0 : count)); });
    if (got === 0) return false;
    done += got;
  }
  return true;
}

/** One system call reads at most this much. */
const LARGEST_READ = 2 ** 30;
