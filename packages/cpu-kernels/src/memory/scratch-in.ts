import type { Memory } from '@qdylora/contract';
import type { CpuDoor } from '../addon/addon-functions.ts';

/** Scratch of kernels in this memory, for the time of a call. */
export const scratchIn =
  (memory: Memory): CpuDoor['withScratch'] =>
  (floats, body) => {
    const scratch = memory.allocate('f32', [floats]);
    try {
      body(scratch);
    } finally {
      memory.release(scratch);
    }
  };
