import * as nodeFs from 'node:fs';
import { PAGE_BYTES } from '../write/write-blocks.ts';
import { fasterWay, LEAST_BYTES } from './faster-way.ts';
import type { FileRead, ReadFile } from '../thread/file-thread.ts';

/** Extra room for reading whole pages. */
export const PAGES_AROUND = 2 * PAGE_BYTES;

export interface PagesToRead {
  readonly offset: number;
  readonly length: number;
  readonly read?: ReadFile;
}

/** Reads one open file in the background, through the system's cache or past it. */
export interface PageReader {
  /**
   * Reads `length` bytes at `offset` into a part of `buffer`, which is PAGES_AROUND longer, and returns that
   * part. Only a buffer that begins on a page can be read into past the cache.
   */
  read(buffer: Uint8Array, bytes: PagesToRead): Promise<Uint8Array>;
  close(): void;
}

/**
 * Creates a reader that chooses the faster way, through the system's cache or past it.
 * Past the cache the processor copies nothing: 2.3 GB/s with 0.02 core-seconds per GB. A file that was not in
 * the cache came through it at 1.0 to 1.8 GB/s with 0.35 core-seconds per GB (2 cores, 2026; a model of 4.6
 * GB is quantized in 3.2 s instead of 4.3 to 17 s). A cached file on a slow disk is faster through the cache.
 * The cache is used only if its speed is worth the processor's time.
 *
 * @param through reads through the cache; all bytes or an error
 */
export function pageReader(
  fd: number,
  through: (target: Uint8Array, offset: number) => Promise<void>,
  now: () => number = () => performance.now(),
): PageReader {
  let direct = openDirect(fd);
  let isRefused = false;
  const ways = fasterWay(['through', 'past'] as const, CACHE_HANDICAP);
  return {
    async read(buffer, { offset, length, read = readBySystem }) {
      const shift = offset % PAGE_BYTES;
      const part = buffer.subarray(shift, shift + length);
      const { way, other, isTrial } = ways.next();
      const readPart = async (taken: 'through' | 'past', from: number, to: number): Promise<void> => {
        if (taken === 'past' && direct !== null && !isRefused) {
          const page = from === 0 ? 0 : shift + from;
          const needed = shift + to - page;
          const { count, milliseconds } = await readPages(
            buffer.subarray(page, page + Math.ceil(needed / PAGE_BYTES) * PAGE_BYTES),
            { fd: direct, offset: offset - shift + page, needed, read },
          );
          if (count >= needed) return ways.took(taken, to - from, milliseconds);
          isRefused = true; // keep the descriptor: other reads may still use it
        }
        const start = now();
        await through(part.subarray(from, to), offset + from);
        ways.took('through', to - from, now() - start);
      };
      const tried =
        isTrial && direct !== null && !isRefused && shift + length > 2 * TRIAL_BYTES
          ? TRIAL_BYTES - shift
          : length;
      await readPart(way, 0, tried);
      if (tried < length) await readPart(other, tried, length);
      return part;
    },
    close() {
      if (direct !== null) nodeFs.closeSync(direct);
      direct = null;
    },
  };
}

/**
 * Handicap of the cache: a read through it takes 0.35 core-seconds per GB, in which the same amount could be
 * quantized at 3 GB/s.
 */
const CACHE_HANDICAP = 1.5;

/**
 * Bytes of a long read that measure a method: the smallest measured amount and a page, so that the rest
 * begins on a page. A whole read (8 MB) through a cold cache would cost 10 to 20 ms, in which the disk
 * reads 30 to 50 MB past it (2026).
 */
const TRIAL_BYTES = LEAST_BYTES + PAGE_BYTES;

/**
 * Opens the same file again for reading past the cache; null if the system or the file system does not
 * support it.
 */
function openDirect(fd: number): number | null {
  const { O_DIRECT: past, O_RDONLY: reading } = nodeFs.constants as {
    readonly O_DIRECT?: number;
    readonly O_RDONLY: number;
  };
  if (past === undefined || process.platform !== 'linux') return null;
  try {
    return nodeFs.openSync(`/proc/self/fd/${fd}`, reading | past);
  } catch {
    return null;
  }
}

/** Reads with one of Node's file threads. */
const readBySystem: ReadFile = (fd, target, position) =>
  new Promise((resolve) => {
    const start = performance.now();
    nodeFs.read(fd, target, 0, target.length, position, (error, count) =>
      resolve({ count: error ? 0 : count, milliseconds: performance.now() - start }),
    );
  });

/**
 * Reads whole pages; fewer bytes than `needed` if the system refuses or the file ends. The read through the
 * cache then reports the reason.
 */
async function readPages(
  pages: Uint8Array,
  {
    fd,
    offset,
    needed,
    read,
  }: { readonly fd: number; readonly offset: number; readonly needed: number; readonly read: ReadFile },
): Promise<FileRead> {
  let done = 0;
  let took = 0;
  while (done < needed) {
    const { count, milliseconds } = await read(fd, pages.subarray(done, done + LARGEST_READ), offset + done);
    if (count === 0) break;
    done += count;
    took += milliseconds;
  }
  return { count: done, milliseconds: took };
}

/** Bytes per system call. */
const LARGEST_READ = 2 ** 30;
