import type { ArrayView } from '@qdylora/contract';

/**
 * Where pages of optimizer state rest while they aren't needed: bytes at offsets, moved to and from arrays of
 * the backend's memory. A page's arrays (some rows of m, then the same rows of v) lie one after the other,
 * and a step walks the offsets upwards: read, update, write, next.
 *
 * A file serves host memory (`openPageFile`). Pinned host memory beside a GPU is a second implementation: the
 * bytes lie in pinned buffers; `read` enqueues a copy to the device on a stream of its own and makes the
 * compute stream wait for its event; `write` makes that stream wait for the update's event and enqueues the
 * copy back. Neither blocks. With a second slot in `parameterStates`, taking turns, one page is copied while
 * the other is computed; planning, walking, saving and resuming stay as they are.
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
