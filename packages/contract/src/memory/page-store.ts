import type { ArrayView } from '../arrays/array-view.ts';

/** Arrays that a page store fills. */
export interface PageArrival {
  /**
   * Orders later work behind the copies: work enqueued from now on sees the new numbers. Work enqueued since
   * `read` must not touch the arrays, and may run beside the copies. It is called at most once.
   */
  wait(): void;
}

/**
 * Storage for pages of optimizer state that are not in use: bytes at offsets, copied from and to arrays of
 * the backend's memory. The arrays of a page are contiguous (some rows of m, then the same rows of v). A
 * step visits the pages in ascending order: read, update, write.
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
   * Stores the arrays' numbers after all work enqueued so far. @throws QdyloraError WRITE_FAILED; the state
   * is lost then
   */
  write(offset: number, arrays: readonly ArrayView[]): void;
  dispose(): void;
}
