import { sharedThread, type SharedThreadOptions } from './shared-thread.ts';

/**
 * Number of bytes read (0 at the end of the file and if the system refuses), and the time of the read itself,
 * without waiting for other requests.
 */
export interface FileRead {
  readonly count: number;
  readonly milliseconds: number;
}

/** Reads from an open file into memory, in the background. */
export type ReadFile = (fd: number, target: Uint8Array, position: number) => Promise<FileRead>;

/**
 * Writes shared memory to an open file in the background; returns the number of bytes written. @throws the
 * system's error, with its `code`, as a rejection
 */
export type WriteFile = (fd: number, bytes: Uint8Array, position: number) => Promise<number>;

/**
 * A thread that executes reads and writes one after another, in the order of the requests. It reads into its
 * own buffers.
 */
export interface FileThread {
  /** Memory to read into; each buffer begins on a page. */
  readonly buffers: readonly Uint8Array[];
  /** `target` must be a part of one of the buffers. */
  readonly read: ReadFile;
  readonly write: WriteFile;
  close(): Promise<void>;
}

/** Options of `createFileThread`: the number and size of its buffers. */
export interface FileThreadOptions extends Pick<SharedThreadOptions, 'prepare'> {
  readonly buffers: number;
  /** Size of a buffer, in whole pages. */
  readonly bufferBytes: number;
}

/** Operation, file descriptor, memory with offset and length, and position in the file. */
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

const READ_WRITE_THREAD_SOURCE = `
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
 * Creates the thread.
 * One long request at a time, in file order, keeps a disk as busy as several parallel ones, if the next
 * request begins immediately, which a computing caller cannot ensure. Alternating reads and writes also need
 * less memory (2 cores, a virtual machine, 2026: a model of 13.5 GB is quantized in 8.2 to 8.6 s instead of
 * 9.2 to 9.6 s).
 */
export function createFileThread({ buffers, bufferBytes, prepare }: FileThreadOptions): FileThread {
  const thread = sharedThread<Request, Answer>(READ_WRITE_THREAD_SOURCE, {
    bytes: buffers * bufferBytes,
    prepare,
  });
  return {
    buffers: Array.from(
      { length: buffers },
      (_, i) => new Uint8Array(thread.memory, i * bufferBytes, bufferBytes),
    ),
    read: (fd, target, position) =>
      // the fallback read will report the reason
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
