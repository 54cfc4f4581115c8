import { sharedThread, type SharedThreadOptions } from '../shared-thread.ts';

/** How many bytes came, 0 at the end of the file and where the system refuses; and how long that took, without the time in which others were read. */
export interface FileRead { readonly count: number; readonly milliseconds: number }

/** Reads from an open file into memory, while the caller goes on. */
export type ReadFile = (fd: number, target: Uint8Array, position: number) => Promise<FileRead>;

/** A thread that does one read after another, in the order in which they were asked for, into places of its own. */
export interface ReadingThread {
  /** Each begins on a page. */
  readonly places: readonly Uint8Array[];
  /** `target`: a part of one of the places. */
  readonly read: ReadFile;
  close(): Promise<void>;
}

export interface ReadingThreadOptions extends Pick<SharedThreadOptions, 'prepare'> {
  readonly places: number;
  /** Whole pages. */
  readonly placeBytes: number;
}

const READER = `
const { readSync } = require('node:fs'), { parentPort, workerData } = require('node:worker_threads');
parentPort.on('message', ([fd, at, length, position]) => {
  let count = 0;
  const start = performance.now();
  try { count = readSync(fd, new Uint8Array(workerData, at, length), 0, length, position); } catch { /* who reads another way says why */ }
  parentPort.postMessage({ count, milliseconds: performance.now() - start });
});
`;

/**
 * One long read in the file's order keeps a disk busier than two at once do (3.0 GB/s instead of 2.4 past the cache, a virtual machine, 2026), if the next begins as soon as it ends; a caller that
 * computes cannot see to that.
 */
export function createReadingThread({ places, placeBytes, prepare }: ReadingThreadOptions): ReadingThread {
  const thread = sharedThread<readonly [number, number, number, number], FileRead>(READER, { bytes: places * placeBytes, prepare });
  return {
    places: Array.from({ length: places }, (_, i) => new Uint8Array(thread.memory, i * placeBytes, placeBytes)),
    read: (fd, target, position) => thread.ask([fd, target.byteOffset, target.length, position]),
    close: thread.close,
  };
}
