import { Worker } from 'node:worker_threads';
import { DisposedError } from '@qdylora/contract';

/** A thread that works on memory shared with its owner; each request has one answer. */
export interface SharedThread<Request, Answer> {
  readonly memory: SharedArrayBuffer;
  /**
   * Sends a request.
   *
   * @throws QdyloraError DISPOSED after `close`; the thread's error if it has ended otherwise
   */
  ask(request: Request): Promise<Answer>;
  /** Sends a request without an answer. */
  tell(request: Request): void;
  close(): Promise<void>;
}

/** Options of `sharedThread`: the memory it shares with its owner. */
export interface SharedThreadOptions {
  /** Size of the memory, rounded up to whole pages of 64 KiB. */
  readonly bytes: number;
  /**
   * Called with the new memory before it is touched, for example to request large pages, which need fewer
   * requests to the disk.
   */
  readonly prepare?: (memory: Uint8Array) => void;
}

/** WebAssembly memory: the only way in JavaScript to get page-aligned memory. Its pages have 64 KiB. */
type WasmMemory = new (size: {
  readonly initial: number;
  readonly maximum: number;
  readonly shared: true;
}) => { readonly buffer: SharedArrayBuffer };

const WASM_PAGE_BYTES = 65_536;

/**
 * Creates the thread. @param source its code, with `workerData` as the memory. A separate file would have to
 * be located from sources and from every bundle.
 */
export function sharedThread<Request, Answer>(
  source: string,
  { bytes, prepare = () => {} }: SharedThreadOptions,
): SharedThread<Request, Answer> {
  const { Memory } = (globalThis as unknown as { WebAssembly: { Memory: WasmMemory } }).WebAssembly;
  const pages = Math.ceil(bytes / WASM_PAGE_BYTES);
  const { buffer } = new Memory({ initial: pages, maximum: pages, shared: true });
  prepare(new Uint8Array(buffer));
  const worker = new Worker(source, { eval: true, workerData: buffer });
  const waiting: { readonly resolve: (answer: Answer) => void; readonly reject: (error: Error) => void }[] =
    [];
  let failure: Error | null = null;
  const fail = (error: Error): void => {
    failure ??= error;
    for (const { reject } of waiting.splice(0)) reject(failure);
  };
  worker.on('message', (answer: Answer) => {
    waiting.shift()?.resolve(answer); // none waits after `close`
  });
  worker.on('error', fail);
  worker.on('exit', (exitCode) => {
    fail(new Error(`the thread that reads or hashes files has ended (exit code ${exitCode})`));
  });
  return {
    memory: buffer,
    ask: (request) =>
      new Promise((resolve, reject) => {
        if (failure) return reject(failure);
        waiting.push({ resolve, reject });
        worker.postMessage(request);
      }),
    tell(request) {
      worker.postMessage(request);
    },
    async close() {
      failure ??= new DisposedError('thread that reads or hashes files');
      await worker.terminate(); // until then it may write to a file of a waiting request
      fail(failure);
    },
  };
}
