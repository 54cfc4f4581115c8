import { createHash } from 'node:crypto';
import type { WriteFile } from '../thread/file-thread.ts';
import { sharedThread, type SharedThreadOptions } from '../thread/shared-thread.ts';

/** Memory blocks used in turn: one is filled while the others are hashed and written. */
export interface WriteBlocks {
  readonly buffers: readonly Uint8Array[];
  /** Writes from the blocks; undefined: the system's threads write. */
  readonly write?: WriteFile;
  /** Starts the hash of the next file. */
  beginHash(): void;
  /** Hashes the next bytes, which are in one of the blocks; resolves when they may change. */
  hash(filled: Uint8Array): Promise<void>;
  /** SHA-256 of the bytes since `beginHash`, in hexadecimal. */
  digest(): Promise<string>;
}

/**
 * Size of a block, written in one call. Each call waits for a turn of the event loop, of which a computing
 * caller has few, so several blocks are in flight.
 */
export const BLOCK_BYTES = 2 ** 22;

const BLOCKS = 4;

/** Alignment of writes past the cache: the largest block of usual disks, and a page. */
export const PAGE_BYTES = 4096;

/** Blocks in ordinary memory, hashed by the writer itself. */
export function plainBlocks(blockBytes = BLOCK_BYTES): WriteBlocks {
  let hash = createHash('sha256');
  return {
    buffers: Array.from({ length: BLOCKS }, () => new Uint8Array(blockBytes)),
    beginHash() {
      hash = createHash('sha256');
    },
    hash(filled) {
      hash.update(filled);
      return Promise.resolve();
    },
    digest: () => Promise.resolve(hash.digest('hex')),
  };
}

/** Blocks of whole pages, with the thread that hashes them. */
export interface HashedBlocks extends WriteBlocks {
  /** Ends the thread. */
  close(): Promise<void>;
}

const HASH_THREAD_SOURCE = `
const { createHash } = require('node:crypto'), { parentPort, workerData } = require('node:worker_threads');
let hash = createHash('sha256');
parentPort.on('message', (request) => {
  if (request === 'begin') hash = createHash('sha256');
  else if (request === 'digest') parentPort.postMessage(hash.digest('hex'));
  else parentPort.postMessage(hash.update(new Uint8Array(workerData, request[0], request[1])) && '');
});
`;

export interface HashedBlocksOptions extends Pick<SharedThreadOptions, 'prepare'> {
  /** Size of a block, in whole pages. */
  readonly blockBytes?: number;
  readonly write?: WriteFile;
}

/** Creates blocks that a separate thread hashes while the caller computes. */
export function createHashedBlocks({
  blockBytes = BLOCK_BYTES,
  write,
  prepare,
}: HashedBlocksOptions = {}): HashedBlocks {
  const thread = sharedThread<'begin' | 'digest' | readonly [number, number], string>(HASH_THREAD_SOURCE, {
    bytes: BLOCKS * blockBytes,
    prepare,
  });
  return {
    buffers: Array.from(
      { length: BLOCKS },
      (_, i) => new Uint8Array(thread.memory, i * blockBytes, blockBytes),
    ),
    write,
    beginHash() {
      thread.tell('begin');
    },
    hash: async (filled) => {
      await thread.ask([filled.byteOffset, filled.length]);
    },
    digest: () => thread.ask('digest'),
    close: thread.close,
  };
}
