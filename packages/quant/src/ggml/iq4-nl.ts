import { IQ4_LEVELS } from './iq4-levels.ts';
import { readHalf } from './read-half.ts';

const LENGTH = 32;
const BYTES = 18;
const HALF = 16;

/**
 * IQ4_NL: `half d · byte q[16]`; the low nibbles are the first half of the block, the high ones the second;
 * value = d·level[nibble].
 */
export function dequantizeIQ4_NL(blocks: Uint8Array, values: Float32Array): void {
  for (let block = 0, at = 0; at < values.length; block += BYTES, at += LENGTH) {
    const d = readHalf(blocks, block);
    for (let i = 0; i < HALF; i++) {
      const byte = blocks[block + 2 + i];
      values[at + i] = d * IQ4_LEVELS[byte & 15];
      values[at + i + HALF] = d * IQ4_LEVELS[byte >> 4];
    }
  }
}
