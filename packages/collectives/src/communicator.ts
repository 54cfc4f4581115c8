/** Arrays that are sums, maxima and minima of numbers. */
export type NumberArray = Float32Array | Float64Array | Int32Array;

/** Arrays that are sent as they are. */
export type SentArray = NumberArray | Uint8Array;

/** The operation of `allReduce`, element by element. */
export type Reduction = 'sum' | 'max' | 'min';

/**
 * The workers of a run, as one of them sees them: each is a process that runs the same program.
 *
 * A collective is a call that all workers make, in the same order and with arrays of the same length. It
 * settles when this worker's part is done. Calls of one worker run one after the other, so several can be
 * started without awaiting each. The array belongs to the call until it settles.
 *
 * Every collective throws `QdyloraError` COLLECTIVE_FAILED where the library reports an error, or where it
 * does not end within the time-out; DISPOSED after `close`.
 */
export interface Communicator extends AsyncDisposable {
  /** From 0 to size − 1. */
  readonly rank: number;
  /** Number of workers. */
  readonly size: number;
  /** The library with its version, or `one process`. */
  readonly library: string;
  /**
   * Replaces `values` on every worker by the reduction over all workers. The library chooses the order of the
   * sums, so floating-point results may depend on the number of workers: see `sumInOrder`.
   */
  allReduce(values: NumberArray, reduction?: Reduction): Promise<void>;
  /** Replaces `values` on every worker by those of the worker `root` (0 by default). */
  broadcast(values: SentArray, root?: number): Promise<void>;
  /**
   * Gives every worker the parts of all.
   *
   * part: [n]; all: [size · n], the part of worker w from w · n
   */
  allGather<T extends SentArray>(part: T, all: T): Promise<void>;
  /**
   * Sends part w to worker w.
   *
   * parts: [size · n]; received: [size · n], what worker w sent from w · n
   */
  allToAll<T extends SentArray>(parts: T, received: T): Promise<void>;
  /** Settles when all workers have called it. */
  barrier(): Promise<void>;
  /** Ends all workers at once, with this exit status: for an error that one worker alone has. */
  abort(status?: number): void;
  /** Leaves the world; no collective can follow. All workers call it. */
  close(): Promise<void>;
}
