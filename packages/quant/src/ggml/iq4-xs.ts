import { IQ4_LEVELS } from './iq4-levels.ts';
import { readHalf } from './read-half.ts';

const LENGTH = 256;
const BYTES = 136;
const GROUPS = 8;
const GROUP = 32;
const HALF = 16;
const HIGH = 2;
const LOW = 4;
const CODES = 8;

/**
 * IQ4_XS: `half d · uint16 high · byte low[4] · byte q[128]`; eight IQ4_NL groups, each with a six-bit scale
 * of a nibble of `low` and two bits of `high`; value = d·(scale − 32)·level[nibble].
 */
export function dequantizeIQ4_XS(blocks: Uint8Array, values: Float32Array): void {
  for (let block = 0, at = 0; at < values.length; block += BYTES, at += LENGTH) {
    const d = readHalf(blocks, block);
    const high = blocks[block + HIGH] | (blocks[block + HIGH + 1] << 8);
    for (let group = 0; group < GROUPS; group++) {
      const low = (blocks[block + LOW + (group >> 1)] >> ((group & 1) * 4)) & 15;
      const step = d * ((low | (((high >> (2 * group)) & 3) << 4)) - 32);
      const codes = block + CODES + group * HALF;
      const first = at + group * GROUP;
      for (let i = 0; i < HALF; i++) {
        const byte = blocks[codes + i];
        values[first + i] = step * IQ4_LEVELS[byte & 15];
        values[first + i + HALF] = step * IQ4_LEVELS[byte >> 4];
      }
    }
  }
}
