import { readHalf } from './read-half.ts';

const LENGTH = 256;
const BYTES = 110;
const GROUP = 16;
const CODES = 32;
const SCALES = 96;
const D = 108;

/**
 * Q3_K: `byte high[32] · byte q[64] · 16 six-bit scales in 12 bytes · half d`; sixteen groups of 16 values.
 * Codes lie as in Q2_K; the third bit of run n (of 32 values) is bit n of `high`, and where it is not set the
 * code is 4 less; value = d·(scale − 32)·code.
 */
export function dequantizeQ3_K(blocks: Uint8Array, values: Float32Array): void {
  for (let block = 0, at = 0; at < values.length; block += BYTES, at += LENGTH) {
    const d = readHalf(blocks, block + D);
    for (let group = 0; group < LENGTH / GROUP; group++) {
      const step = d * (sixBitScale(blocks, block + SCALES, group) - 32);
      const half = (group & 1) * GROUP;
      const codes = block + CODES + (group >> 3) * 32 + half;
      const shift = ((group >> 1) & 3) * 2;
      const high = block + half;
      const bit = 1 << (group >> 1);
      for (let i = 0; i < GROUP; i++)
        values[at + group * GROUP + i] =
          step * (((blocks[codes + i] >> shift) & 3) - (blocks[high + i] & bit ? 0 : 4));
    }
  }
}

/**
 * Scale number `j` of sixteen: four low bits in the first eight bytes (0…7 in the low nibbles, 8…15 in the
 * high ones), two high bits in the last four.
 */
function sixBitScale(bytes: Uint8Array, at: number, j: number): number {
  const low = j < 8 ? bytes[at + j] & 15 : bytes[at + j - 8] >> 4;
  return low | (((bytes[at + 8 + (j & 3)] >> ((j >> 2) * 2)) & 3) << 4);
}
