import { createHash } from 'node:crypto';
import type { WriteFile } from '../thread/file-thread.ts';
import { sharedThread, type SharedThreadOptions } from '../thread/shared-thread.ts';

/**
 * Places in memory that take turns: one is filled while the others are hashed and on their way to the disk.
 */
export interface WriteBlocks {
  readonly places: readonly Uint8Array[];
  /** Writes from the places; left out where the system's threads do. */
  readonly write?: WriteFile;
  /** Begins the hash of another file. */
  beginHash(): void;
  /** Hashes the next bytes, which lie in one of the places; done when they may change. */
  hash(filled: Uint8Array): Promise<void>;
  /** SHA-256 of the bytes since `beginHash`, in hexadecimal. */
  digest(): Promise<string>;
}

/**
 * A block goes to the disk in one call, and each call waits for a turn of the event loop, of which a caller
 * that computes has few: so several are on their way at once.
 */
export const BLOCK_BYTES = 2 ** 22;

const BLOCKS = 4;

/** What a write past the cache must begin and end on: the largest block of usual disks, and a page. */
export const PAGE_BYTES = 4096;

/** JavaScript's own memory, hashed by whoever writes. */
export function plainBlocks(blockBytes = BLOCK_BYTES): WriteBlocks {
  let hash = createHash('sha256');
  return {
    places: Array.from({ length: BLOCKS }, () => new Uint8Array(blockBytes)),
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

/** Blocks that are whole pages, with the thread that hashes them. */
export interface HashedBehind extends WriteBlocks {
  /** Ends the thread. */
  close(): Promise<void>;
}

const HASHER = `
const { createHash } = require('node:crypto'), { parentPort, workerData } = require('node:worker_threads');
let hash = createHash('sha256');
parentPort.on('message', (request) => {
  if (request === 'begin') hash = createHash('sha256');
  else if (request === 'digest') parentPort.postMessage(hash.digest('hex'));
  else parentPort.postMessage(hash.update(new Uint8Array(workerData, request[0], request[1])) && '');
});
`;

export interface HashedBlocksOptions extends Pick<SharedThreadOptions, 'prepare'> {
  /** Whole pages. */
  readonly blockBytes?: number;
  readonly write?: WriteFile;
}

/** Blocks in memory that a thread of their own hashes too, while the caller computes. */
export function createHashedBlocks({
  blockBytes = BLOCK_BYTES,
  write,
  prepare,
}: HashedBlocksOptions = {}): HashedBehind {
  const thread = sharedThread<'begin' | 'digest' | readonly [number, number], string>(HASHER, {
    bytes: BLOCKS * blockBytes,
    prepare,
  });
  return {
    places: Array.from(
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
