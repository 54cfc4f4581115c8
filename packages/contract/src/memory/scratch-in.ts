import type { ArrayView } from '../arrays/array-view.ts';
import type { Memory } from './memory.ts';

/**
 * Temporary arrays of kernels in this memory: `body` gets one, [length], that is released after it. On a
 * device, work that `body` enqueued may follow; the next owner's work comes later on the same stream.
 *
 * @example
 * const withScratch = scratchIn(memory);
 * withScratch(1024, (scratch) => launch(scratch));
 */
export const scratchIn =
  (memory: Memory) =>
  (length: number, body: (scratch: ArrayView<'f32'>) => void): void => {
    const scratch = memory.allocate('f32', [length]);
    try {
      body(scratch);
    } finally {
      memory.release(scratch);
    }
  };
