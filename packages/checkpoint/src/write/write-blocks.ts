import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';

/** Places in memory that take turns: one is filled while the others are hashed and on their way to the disk. */
export interface WriteBlocks {
  readonly places: readonly Uint8Array[];
  /** Begins the hash of another file. */
  beginHash(): void;
  /** Hashes the next bytes, which lie in one of the places; done when they may change. */
  hash(filled: Uint8Array): Promise<void>;
  /** SHA-256 of the bytes since `beginHash`, in hexadecimal. */
  digest(): Promise<string>;
}

/** A block goes to the disk in one call, and each call waits for a turn of the event loop, of which a caller that computes has few: so several are on their way at once. */
export const BLOCK_BYTES = 2 ** 24;

const BLOCKS = 4;

/** What a write past the cache must begin and end on: the largest block of usual disks, and a page. */
export const PAGE_BYTES = 4096;

/** JavaScript's own memory, hashed by whoever writes. */
export function plainBlocks(blockBytes = BLOCK_BYTES): WriteBlocks {
  let hash = createHash('sha256');
  return {
    places: Array.from({ length: BLOCKS }, () => new Uint8Array(blockBytes)),
    beginHash() { hash = createHash('sha256'); },
    hash(filled) { hash.update(filled); return Promise.resolve(); },
    digest: () => Promise.resolve(hash.digest('hex')),
  };
}

/** Blocks that are whole pages, with the thread that hashes them. */
export interface HashedBehind extends WriteBlocks {
  /** Ends the thread. */
  close(): Promise<void>;
}

/** One request after another, each with one answer. A file of its own would have to be found from sources and from every bundle. */
const HASHER = `
const { createHash } = require('node:crypto'), { parentPort, workerData } = require('node:worker_threads');
let hash = createHash('sha256');
parentPort.on('message', (request) => {
  if (request === 'begin') hash = createHash('sha256');
  else if (request === 'digest') parentPort.postMessage(hash.digest('hex'));
  else parentPort.postMessage(hash.update(new Uint8Array(workerData, request[0], request[1])) && '');
});
`;

/** Memory of WebAssembly is all that JavaScript can get on page boundaries; a page of its own has 64 KiB. */
type WasmMemory = new (size: { readonly initial: number; readonly maximum: number; readonly shared: true }) => { readonly buffer: SharedArrayBuffer };

const WASM_PAGE_BYTES = 65_536;

/** Blocks in memory that a thread of their own hashes too, while the caller computes. `blockBytes`: whole pages. */
export function createHashedBlocks(blockBytes = BLOCK_BYTES): HashedBehind {
  const { Memory } = (globalThis as unknown as { WebAssembly: { Memory: WasmMemory } }).WebAssembly, pages = Math.ceil((BLOCKS * blockBytes) / WASM_PAGE_BYTES);
  const { buffer } = new Memory({ initial: pages, maximum: pages, shared: true }), worker = new Worker(HASHER, { eval: true, workerData: buffer });
  const waiting: { readonly resolve: (answer: string) => void; readonly reject: (error: Error) => void }[] = [];
  let failure: Error | null = null;
  const fail = (error: Error): void => {
    failure ??= error;
    for (const { reject } of waiting.splice(0)) reject(failure);
  };
  worker.on('message', (answer: string) => { waiting.shift()!.resolve(answer); });
  worker.on('error', fail);
  worker.on('exit', () => { fail(new Error('the thread that hashes files has ended')); });
  const ask = (request: 'digest' | readonly [number, number]): Promise<string> => new Promise((resolve, reject) => {
    if (failure) return reject(failure);
    waiting.push({ resolve, reject });
    worker.postMessage(request);
  });
  return {
    places: Array.from({ length: BLOCKS }, (_, i) => new Uint8Array(buffer, i * blockBytes, blockBytes)),
    beginHash() { worker.postMessage('begin'); },
    hash: async (filled) => { await ask([filled.byteOffset, filled.length]); },
    digest: () => ask('digest'),
    async close() { await worker.terminate(); },
  };
}
