import { readHalf } from './read-half.ts';

const LENGTH = 32, HALF = 16, BYTES = 20;

/** Q4_1: `half d · half m · byte q[16]`; the low nibbles are values 0…15, the high ones 16…31; value = d·q + m. */
export function dequantizeQ4_1(blocks: Uint8Array, values: Float32Array): void {
  for (let block = 0, at = 0; at < values.length; block += BYTES, at += LENGTH) {
    const d = readHalf(blocks, block), m = readHalf(blocks, block + 2);
    for (let i = 0; i < HALF; i++) {
      const q = blocks[block + 4 + i]!;
      values[at + i] = d * (q & 15) + m;
      values[at + HALF + i] = d * (q >> 4) + m;
    }
  }
}
