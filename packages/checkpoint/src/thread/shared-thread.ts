import { Worker } from 'node:worker_threads';

/**
 * A thread that works on memory which it shares with its owner: one request after another, each with one
 * answer.
 */
export interface SharedThread<Request, Answer> {
  readonly memory: SharedArrayBuffer;
  /** @throws the thread's error, as a rejection, once it has ended */
  ask(request: Request): Promise<Answer>;
  /** A request without an answer. */
  tell(request: Request): void;
  close(): Promise<void>;
}

export interface SharedThreadOptions {
  readonly bytes: number;
  /**
   * Told of the fresh memory before anyone touches it: whoever can have it backed by large pages, for fewer
   * requests to the disk.
   */
  readonly prepare?: (memory: Uint8Array) => void;
}

/** Memory of WebAssembly is all that JavaScript can get on page boundaries; a page of its own has 64 KiB. */
type WasmMemory = new (size: {
  readonly initial: number;
  readonly maximum: number;
  readonly shared: true;
}) => { readonly buffer: SharedArrayBuffer };

const WASM_PAGE_BYTES = 65_536;

/**
 * @param source the thread's code, with `workerData` as the memory: a file of its own would have to be found
 * from sources and from every bundle
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
    waiting.shift()!.resolve(answer);
  });
  worker.on('error', fail);
  worker.on('exit', () => {
    fail(new Error('the thread that reads or hashes files has ended'));
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
      await worker.terminate();
    },
  };
}
