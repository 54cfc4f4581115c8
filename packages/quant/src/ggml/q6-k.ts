import { readHalf } from './read-half.ts';

const LENGTH = 256;
const BYTES = 210;
const HIGH = 128;
const SCALES = 192;
const SCALE = 208;

/**
 * Q6_K: `byte low[128] · byte high[64] · int8 scale[16] · half d`. Each half of 128 values takes 64 low and
 * 32 high bytes: value i of a half has four bits in a nibble and two bits in `high[i % 32]`, at 2·⌊i / 32⌋;
 * sixteen values share a scale; value = d·scale·(q − 32).
 */
export function dequantizeQ6_K(blocks: Uint8Array, values: Float32Array): void {
  for (let block = 0, at = 0; at < values.length; block += BYTES, at += LENGTH) {
    const d = readHalf(blocks, block + SCALE);
    for (let i = 0; i < LENGTH; i++) {
      const half = i >> 7;
      const j = i & 127;
      const low = (blocks[block + half * 64 + (j & 63)] >> ((j >> 6) * 4)) & 15;
      const high = (blocks[block + HIGH + half * 32 + (j & 31)] >> ((j >> 5) * 2)) & 3;
      const scale = (blocks[block + SCALES + (i >> 4)] << 24) >> 24;
      values[at + i] = d * scale * ((low | (high << 4)) - 32);
    }
  }
}
