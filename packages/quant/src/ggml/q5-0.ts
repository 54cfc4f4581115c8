import { readHalf } from './read-half.ts';

const LENGTH = 32;
const HALF = 16;
const BYTES = 22;

/**
 * Q5_0: `half d · uint32 fifth bits · byte q[16]`; bit i of the word is the fifth bit of value i; value =
 * d·(q − 16).
 */
export function dequantizeQ5_0(blocks: Uint8Array, values: Float32Array): void {
  for (let block = 0, at = 0; at < values.length; block += BYTES, at += LENGTH) {
    const d = readHalf(blocks, block);
    const fifth = block + 2;
    for (let i = 0; i < HALF; i++) {
      const q = blocks[block + 6 + i];
      const low = (blocks[fifth + (i >> 3)] >> (i & 7)) & 1;
      const high = (blocks[fifth + 2 + (i >> 3)] >> (i & 7)) & 1;
      values[at + i] = d * (((q & 15) | (low << 4)) - 16);
      values[at + HALF + i] = d * (((q >> 4) | (high << 4)) - 16);
    }
  }
}
