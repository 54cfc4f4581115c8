interface Request {
  readonly id: number;
  readonly content: unknown;
}
interface Response {
  readonly id: number;
  readonly result?: unknown;
  /** A part of the result, before the end. */
  readonly part?: unknown;
  readonly problem?: string;
}

/** In a worker: answers each request of the page with the result of `answer`, or with what went wrong. */
export function answerRequests<T>(
  answer: (content: T, tell: (part: unknown) => void) => Promise<unknown>,
): void {
  const scope = self as unknown as {
    onmessage: (event: { data: Request }) => void;
    postMessage(response: Response): void;
  };
  scope.onmessage = ({ data: { id, content } }) => {
    const tell = (part: unknown): void => scope.postMessage({ id, part });
    answer(content as T, tell).then(
      (result) => scope.postMessage({ id, result }),
      (error: unknown) =>
        scope.postMessage({ id, problem: error instanceof Error ? error.message : String(error) }),
    );
  };
}

/** In a page: asks a worker. One answer at a time; a newer request ends the wait of an older one. */
export class WorkerClient {
  readonly #worker: Worker;
  readonly #waiting = new Map<
    number,
    { resolve(value: unknown): void; reject(error: Error): void; tell(part: unknown): void }
  >();
  #count = 0;
  /** Why the worker did not start; it never answers then. */
  #failure: Error | null = null;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Response>) => this.#receive(data);
    worker.onerror = ({ message }) => {
      this.#failure = new Error(`${message || 'The worker did not start.'} Load the page again.`);
      for (const { reject } of this.#waiting.values()) reject(this.#failure);
      this.#waiting.clear();
    };
  }

  ask<T>(content: unknown, tell: (part: unknown) => void = () => {}): Promise<T> {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = ++this.#count;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject, tell });
      this.#worker.postMessage({ id, content } satisfies Request);
    });
  }

  dispose(): void {
    this.#worker.terminate();
  }

  #receive({ id, result, part, problem }: Response): void {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    if (part !== undefined) return waiting.tell(part);
    this.#waiting.delete(id);
    if (problem === undefined) waiting.resolve(result);
    else waiting.reject(new Error(problem));
  }
}
