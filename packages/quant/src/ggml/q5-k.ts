import { readHalf } from './read-half.ts';
import { sixBitPair } from './six-bit-pair.ts';

const LENGTH = 256;
const BYTES = 176;
const GROUPS = 8;
const GROUP = 32;
const SCALES = 4;
const FIFTH = 16;
const CODES = 48;

/**
 * Q5_K: like Q4_K, with a byte of fifth bits per position: `half d · half dmin · 12 bytes of scales · byte
 * fifth[32] · byte q[128]`; bit g of `fifth[i]` is the fifth bit of value i of group g; value = d·scale·q −
 * dmin·min.
 */
export function dequantizeQ5_K(blocks: Uint8Array, values: Float32Array): void {
  for (let block = 0, at = 0; at < values.length; block += BYTES, at += LENGTH) {
    const d = readHalf(blocks, block);
    const dmin = readHalf(blocks, block + 2);
    for (let group = 0; group < GROUPS; group++) {
      const [scale, min] = sixBitPair(blocks, block + SCALES, group);
      const codes = block + CODES + (group >> 1) * GROUP;
      const shift = (group & 1) * 4;
      const step = d * scale;
      const offset = dmin * min;
      for (let i = 0; i < GROUP; i++) {
        const fifth = ((blocks[block + FIFTH + i] >> group) & 1) << 4;
        values[at + group * GROUP + i] = step * (((blocks[codes + i] >> shift) & 15) | fifth) - offset;
      }
    }
  }
}
