import { readHalf } from './read-half.ts';

const LENGTH = 256;
const BYTES = 84;
const GROUP = 16;
const CODES = 16;
const D = 80;
const DMIN = 82;

/**
 * Q2_K: `16 bytes of (scale | min << 4) · byte q[64] · half d · half dmin`; sixteen groups of 16 values. Each
 * half of the block has 32 bytes of codes, whose bit pairs from low to high are four runs of 32 values; value
 * = d·scale·q − dmin·min.
 */
export function dequantizeQ2_K(blocks: Uint8Array, values: Float32Array): void {
  for (let block = 0, at = 0; at < values.length; block += BYTES, at += LENGTH) {
    const d = readHalf(blocks, block + D);
    const dmin = readHalf(blocks, block + DMIN);
    for (let group = 0; group < LENGTH / GROUP; group++) {
      const pair = blocks[block + group];
      const step = d * (pair & 15);
      const offset = dmin * (pair >> 4);
      const codes = block + CODES + (group >> 3) * 32 + (group & 1) * GROUP;
      const shift = ((group >> 1) & 3) * 2;
      for (let i = 0; i < GROUP; i++)
        values[at + group * GROUP + i] = step * ((blocks[codes + i] >> shift) & 3) - offset;
    }
  }
}
