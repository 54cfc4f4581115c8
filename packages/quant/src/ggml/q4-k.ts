import { readHalf } from './read-half.ts';
import { sixBitPair } from './six-bit-pair.ts';

const LENGTH = 256;
const BYTES = 144;
const GROUPS = 8;
const GROUP = 32;
const SCALES = 4;
const CODES = 16;

/**
 * Q4_K: `half d · half dmin · 8 six-bit (scale, min) pairs in 12 bytes · byte q[128]`; eight groups of 32
 * values, of which two share 32 bytes: the low nibbles are the even group, the high ones the odd group; value
 * = d·scale·q − dmin·min.
 */
export function dequantizeQ4_K(blocks: Uint8Array, values: Float32Array): void {
  for (let block = 0, at = 0; at < values.length; block += BYTES, at += LENGTH) {
    const d = readHalf(blocks, block);
    const dmin = readHalf(blocks, block + 2);
    for (let group = 0; group < GROUPS; group++) {
      const [scale, min] = sixBitPair(blocks, block + SCALES, group);
      const codes = block + CODES + (group >> 1) * GROUP;
      const shift = (group & 1) * 4;
      const step = d * scale;
      const offset = dmin * min;
      for (let i = 0; i < GROUP; i++)
        values[at + group * GROUP + i] = step * ((blocks[codes + i] >> shift) & 15) - offset;
    }
  }
}
