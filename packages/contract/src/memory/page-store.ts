import type { ArrayView } from '../arrays/array-view.ts';

/** Arrays that a page store fills. */
export interface PageArrival {
  /**
   * Orders later work behind the copies: work enqueued from now on sees the new numbers. Work enqueued since
   * `read` must not touch the arrays, and may run beside the copies. It is called at most once.
   */
  wait(): void;
}

/** Arrays that a page store copies from. */
export interface PageDeparture {
  /**
   * Orders later work behind the copies: work enqueued from now on may overwrite the arrays. A `read` into
   * the same arrays needs no wait.
   */
  wait(): void;
}

/**
 * Storage for numbers that are not in use: pages of optimizer state, inputs of recomputed blocks. It has
 * bytes at offsets, copied from and to arrays of the backend's memory, one array after another.
 *
 * For host memory it is a file. For a device it is pinned host memory: `read` and `write` enqueue copies on
 * a second stream, ordered with the compute stream by events, and neither blocks.
 */
export interface PageStore extends Disposable {
  readonly byteLength: number;
  /**
   * Begins to fill the arrays, one after another, from `offset` on. All work enqueued so far still sees the
   * old numbers.
   */
  read(offset: number, arrays: readonly ArrayView[]): PageArrival;
  /**
   * Stores the arrays' numbers after all work enqueued so far. A `read` that follows sees them.
   *
   * @throws QdyloraError WRITE_FAILED; the state is lost then
   */
  write(offset: number, arrays: readonly ArrayView[]): PageDeparture;
  dispose(): void;
}
