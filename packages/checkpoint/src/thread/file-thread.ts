import { sharedThread, type SharedThreadOptions } from './shared-thread.ts';

/**
 * How many bytes came, 0 at the end of the file and where the system refuses; and how long that took, without
 * the time in which others were served.
 */
export interface FileRead {
  readonly count: number;
  readonly milliseconds: number;
}

/** Reads from an open file into memory, while the caller goes on. */
export type ReadFile = (fd: number, target: Uint8Array, position: number) => Promise<FileRead>;

/**
 * Writes memory that threads share to an open file, while the caller goes on; returns how many bytes the
 * system took. @throws the system's error, with its `code`, as a rejection
 */
export type WriteFile = (fd: number, bytes: Uint8Array, position: number) => Promise<number>;

/**
 * A thread that does one read or write after another, in the order in which they were asked for. It reads
 * into places of its own.
 */
export interface FileThread {
  /** Each begins on a page. */
  readonly places: readonly Uint8Array[];
  /** `target`: a part of one of the places. */
  readonly read: ReadFile;
  readonly write: WriteFile;
  close(): Promise<void>;
}

export interface FileThreadOptions extends Pick<SharedThreadOptions, 'prepare'> {
  readonly places: number;
  /** Whole pages. */
  readonly placeBytes: number;
}

/** What is done, the file, the memory with the part of it that is meant, and the place in the file. */
type Request = readonly [
  'readSync' | 'writeSync',
  fd: number,
  memory: ArrayBufferLike,
  at: number,
  length: number,
  position: number,
];

interface Answer extends FileRead {
  readonly failure?: { readonly code: string; readonly message: string };
}

const FILER = `
const fs = require('node:fs'), { parentPort } = require('node:worker_threads');
parentPort.on('message', ([call, fd, memory, at, length, position]) => {
  let count = 0, failure;
  const start = performance.now();
  try {
    count = fs[call](fd, new Uint8Array(memory, at, length), 0, length, position);
  } catch ({ code, message }) {
    failure = { code, message };
  }
  parentPort.postMessage({ count, milliseconds: performance.now() - start, failure });
});
`;

/**
 * One long request at a time, in the file's order, keeps a disk as busy as several at once do, if the next
 * begins as soon as it ends, to which a caller that computes cannot see; and a read and a write that take
 * turns need less memory at a time (2 cores, a virtual machine, 2026: a model of 13.5 GB is quantized in 8.2
 * to 8.6 s instead of 9.2 to 9.6).
 */
export function createFileThread({ places, placeBytes, prepare }: FileThreadOptions): FileThread {
  const thread = sharedThread<Request, Answer>(FILER, { bytes: places * placeBytes, prepare });
  return {
    places: Array.from(
      { length: places },
      (_, i) => new Uint8Array(thread.memory, i * placeBytes, placeBytes),
    ),
    read: (fd, target, position) =>
      // who reads another way says why this one failed
      thread.ask(['readSync', fd, target.buffer, target.byteOffset, target.length, position]),
    async write(fd, bytes, position) {
      const { count, failure } = await thread.ask([
        'writeSync',
        fd,
        bytes.buffer,
        bytes.byteOffset,
        bytes.length,
        position,
      ]);
      if (failure) throw Object.assign(new Error(failure.message), { code: failure.code });
      return count;
    },
    close: thread.close,
  };
}
