import { assertArgument, toFloat16 } from '@qdylora/contract';

const LENGTH = 32;
const BYTES = 34;
export const LARGEST_Q8_0_CODE = 127;

/**
 * Encodes values as Q8_0 blocks, with the same bytes as ggml's reference quantizer: d = largest magnitude /
 * 127 in float32, code = value · (1 / d) rounded half away from zero, d stored as a half. values: a multiple
 * of 32
 */
export function quantizeQ8_0(values: Float32Array): Uint8Array {
  assertArgument(
    values.length % LENGTH === 0,
    'gguf',
    `The number of values must be a multiple of ${LENGTH} for Q8_0 (got ${values.length})`,
  );
  const blocks = new Uint8Array((values.length / LENGTH) * BYTES);
  for (let at = 0, block = 0; at < values.length; at += LENGTH, block += BYTES) {
    let most = 0;
    for (let i = 0; i < LENGTH; i++) most = Math.max(most, Math.abs(values[at + i]));
    const d = Math.fround(most / LARGEST_Q8_0_CODE);
    const inverse = d === 0 ? 0 : Math.fround(1 / d);
    const half = toFloat16(d);
    blocks[block] = half & 255;
    blocks[block + 1] = half >> 8;
    for (let i = 0; i < LENGTH; i++) {
      const scaled = Math.fround(values[at + i] * inverse);
      // wraps a negative code into its byte
      blocks[block + 2 + i] = Math.sign(scaled) * Math.floor(Math.abs(scaled) + 0.5);
    }
  }
  return blocks;
}
