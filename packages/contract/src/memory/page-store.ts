import type { ArrayView } from '../arrays/array-view.ts';

/**
 * Where pages of optimizer state rest while they aren't needed: bytes at offsets, moved to and from arrays of
 * the backend's memory. A page's arrays (some rows of m, then the same rows of v) lie one after the other,
 * and a step walks the offsets upwards: read, update, write, next.
 *
 * Beside host memory it is a file. Beside a device it is pinned host memory: `read` and `write` enqueue
 * copies on a stream of their own, ordered with the compute stream by events, and neither blocks.
 */
export interface PageStore extends Disposable {
  readonly byteLength: number;
  /**
   * Fills the arrays, one after the other, from `offset` on. Work that is enqueued on them later sees the new
   * numbers.
   */
  read(offset: number, arrays: readonly ArrayView[]): void;
  /**
   * Takes the arrays' numbers, as all work that is enqueued so far leaves them. @throws QdyloraError
   * WRITE_FAILED where they cannot be kept; the state is lost then.
   */
  write(offset: number, arrays: readonly ArrayView[]): void;
  dispose(): void;
}
