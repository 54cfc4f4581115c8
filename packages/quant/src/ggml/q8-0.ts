import { fromFloat16 } from '@qdylora/contract';

const LENGTH = 32;
const PAIRS = 17;

/**
 * Q8_0: `half d · int8 q[32]`, value = d·q. A block is 17 pairs of bytes; two pairs at a time are twice as
 * fast as byte by byte.
 */
export function dequantizeQ8_0(blocks: Uint8Array, values: Float32Array): void {
  const pairs = new Int16Array(blocks.buffer, blocks.byteOffset, blocks.length >> 1);
  for (let block = 0, at = 0; at < values.length; block += PAIRS, at += LENGTH) {
    const d = fromFloat16(pairs[block]);
    for (let pair = 0; pair < PAIRS - 1; pair += 2) {
      const first = pairs[block + 1 + pair];
      const second = pairs[block + 2 + pair];
      const to = at + 2 * pair;
      values[to] = d * ((first << 24) >> 24);
      values[to + 1] = d * (first >> 8);
      values[to + 2] = d * ((second << 24) >> 24);
      values[to + 3] = d * (second >> 8);
    }
  }
}
