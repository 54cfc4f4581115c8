import { readHalf } from './read-half.ts';

const LENGTH = 32;
const HALF = 16;
const BYTES = 24;

/**
 * Q5_1: `half d · half m · uint32 fifth bits · byte q[16]`; bit i of the word is the fifth bit of value i;
 * value = d·q + m.
 */
export function dequantizeQ5_1(blocks: Uint8Array, values: Float32Array): void {
  for (let block = 0, at = 0; at < values.length; block += BYTES, at += LENGTH) {
    const d = readHalf(blocks, block);
    const m = readHalf(blocks, block + 2);
    const fifth = block + 4;
    for (let i = 0; i < HALF; i++) {
      const q = blocks[block + 8 + i];
      const low = (blocks[fifth + (i >> 3)] >> (i & 7)) & 1;
      const high = (blocks[fifth + 2 + (i >> 3)] >> (i & 7)) & 1;
      values[at + i] = d * ((q & 15) | (low << 4)) + m;
      values[at + HALF + i] = d * ((q >> 4) | (high << 4)) + m;
    }
  }
}
