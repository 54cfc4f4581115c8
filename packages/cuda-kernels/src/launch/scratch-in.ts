import type { Memory } from '@qdylora/contract';
import type { CudaDoor } from './launch.ts';

/** Temporary arrays of kernels in this memory. The next owner's work comes later on the same stream. */
export const scratchIn =
  (memory: Memory): CudaDoor['withScratch'] =>
  (length, body) => {
    const scratch = memory.allocate('f32', [length]);
    try {
      body(scratch);
    } finally {
      memory.release(scratch);
    }
  };
