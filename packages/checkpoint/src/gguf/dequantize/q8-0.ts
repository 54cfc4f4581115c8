import { readHalf } from './read-half.ts';

const LENGTH = 32, BYTES = 34;

/** Q8_0: `half d · int8 q[32]`, value = d·q. */
export function dequantizeQ8_0(blocks: Uint8Array, values: Float32Array): void {
  const codes = new Int8Array(blocks.buffer, blocks.byteOffset, blocks.length);
  for (let block = 0, at = 0; at < values.length; block += BYTES, at += LENGTH) {
    const d = readHalf(blocks, block);
    for (let i = 0; i < LENGTH; i++) values[at + i] = d * codes[block + 2 + i]!;
  }
}
