import { bfloat16Array, float16Array, LARGEST_FLOAT16, QdyloraError } from '@qdylora/contract';
import { LARGEST_Q8_0_CODE, quantizeQ8_0 } from './quantize-q8-0.ts';

/** Element types that can be written. */
export const GGUF_WRITE_TYPES = ['F32', 'F16', 'BF16', 'Q8_0'] as const;
/** An element type that `encodeValues` can write. */
export type GgufWriteType = (typeof GGUF_WRITE_TYPES)[number];

/**
 * Encodes float32 values; F16 and BF16 round to nearest even.
 *
 * @throws QdyloraError NON_FINITE for a value beyond float16, in F16 and in the scales of Q8_0
 */
export function encodeValues(values: Float32Array, type: GgufWriteType): Uint8Array {
  switch (type) {
    case 'F32':
      return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    case 'F16':
      assertWithin(values, LARGEST_FLOAT16, type);
      return bytesOf(float16Array(values));
    case 'BF16':
      return bytesOf(bfloat16Array(values));
    case 'Q8_0':
      assertWithin(values, LARGEST_FLOAT16 * LARGEST_Q8_0_CODE, type);
      return quantizeQ8_0(values);
  }
}

function assertWithin(values: Float32Array, most: number, type: GgufWriteType): void {
  const large = values.find((value) => !(Math.abs(value) <= most));
  if (large === undefined) return;
  throw new QdyloraError('NON_FINITE', {
    where: type,
    problem: Number.isNaN(large)
      ? 'A tensor has a value that is not a number.'
      : `A tensor has the value ${large}, but ${type} ends at ${most}.`,
    nextStep: Number.isNaN(large)
      ? 'Look at the weights: a training may have diverged.'
      : 'Choose bf16 or f32.',
  });
}

const bytesOf = (array: Uint16Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
