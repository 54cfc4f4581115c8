import { readHalf } from './read-half.ts';

const LENGTH = 32;
const HALF = 16;
const BYTES = 18;

/** Q4_0: `half d · byte q[16]`; the low nibbles are values 0…15, the high ones 16…31; value = d·(q − 8). */
export function dequantizeQ4_0(blocks: Uint8Array, values: Float32Array): void {
  for (let block = 0, at = 0; at < values.length; block += BYTES, at += LENGTH) {
    const d = readHalf(blocks, block);
    for (let i = 0; i < HALF; i++) {
      const q = blocks[block + 2 + i];
      values[at + i] = d * ((q & 15) - 8);
      values[at + HALF + i] = d * ((q >> 4) - 8);
    }
  }
}
