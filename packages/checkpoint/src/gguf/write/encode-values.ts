import { bfloat16Array, float16Array } from '@qdylora/contract';
import { quantizeQ8_0 } from './quantize-q8-0.ts';

/** Element types that can be written. */
export const GGUF_WRITE_TYPES = ['F32', 'F16', 'BF16', 'Q8_0'] as const;
export type GgufWriteType = (typeof GGUF_WRITE_TYPES)[number];

/** Encodes float32 values; F16 and BF16 round to nearest even. */
export function encodeValues(values: Float32Array, type: GgufWriteType): Uint8Array {
  switch (type) {
    case 'F32':
      return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    case 'F16':
      return bytesOf(float16Array(values));
    case 'BF16':
      return bytesOf(bfloat16Array(values));
    case 'Q8_0':
      return quantizeQ8_0(values);
  }
}

const bytesOf = (array: Uint16Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
