import { bfloat16Array, float32FromBfloat16 } from '@qdylora/contract';

/**
 * How numbers are sent in fewer bytes: `bf16` in two, `int8` in one, with a scale for each block of 256.
 */
export type SentFormat = 'bf16' | 'int8';

/** Every `SentFormat`, for checks and messages. */
export const SENT_FORMATS = ['bf16', 'int8'] as const satisfies readonly SentFormat[];

/** Numbers that share a scale, as in 8-bit optimizers (Dettmers et al. 2022). */
const BLOCK = 256;
const LARGEST_CODE = 127;
/** Smallest normal float32; below, a scale is 0. */
const SMALLEST_SCALE = 2 ** -126;
/** Added to a float64 and taken away again, it rounds to the nearest whole number, ties to even. */
const ROUNDER = 1.5 * 2 ** 52;

interface Codec {
  /** Bytes of `count` numbers. */
  byteLength(count: number): number;
  encode(values: Float32Array, bytes: Uint8Array): void;
  decode(bytes: Uint8Array, values: Float32Array): void;
}

const scaleBytes = (count: number): number => 4 * Math.ceil(count / BLOCK);

/** value ≈ scale · code, scale = absmax / 127. A block that is not finite is all NaN. */
const INT8: Codec = {
  byteLength: (count) => scaleBytes(count) + count,
  encode(values, bytes) {
    const scales = scalesIn(bytes, values.length);
    const codes = codesIn(bytes, values.length);
    for (let block = 0; block < scales.length; block++) {
      const from = block * BLOCK;
      const to = Math.min(values.length, from + BLOCK);
      const scale = scaleOf(values, from, to);
      scales[block] = scale;
      const inverse = scale > 0 ? 1 / scale : 0;
      for (let i = from; i < to; i++) codes[i] = values[i] * inverse + ROUNDER - ROUNDER;
    }
  },
  decode(bytes, values) {
    const scales = scalesIn(bytes, values.length);
    const codes = codesIn(bytes, values.length);
    for (let block = 0; block < scales.length; block++) {
      const to = Math.min(values.length, (block + 1) * BLOCK);
      const scale = scales[block];
      for (let i = block * BLOCK; i < to; i++) values[i] = scale * codes[i];
    }
  },
};

function scaleOf(values: Float32Array, from: number, to: number): number {
  let absmax = 0;
  let sum = 0;
  for (let i = from; i < to; i++) {
    const size = Math.abs(values[i]);
    if (size > absmax) absmax = size;
    sum += size;
  }
  if (!(sum < Infinity)) return NaN; // float64: no sum of 256 finite float32 overflows
  const scale = Math.fround(absmax / LARGEST_CODE);
  return scale < SMALLEST_SCALE ? 0 : scale;
}

const scalesIn = ({ buffer, byteOffset }: Uint8Array, count: number): Float32Array =>
  new Float32Array(buffer, byteOffset, scaleBytes(count) / 4);

const codesIn = ({ buffer, byteOffset }: Uint8Array, count: number): Int8Array =>
  new Int8Array(buffer, byteOffset + scaleBytes(count), count);

const BF16: Codec = {
  byteLength: (count) => 2 * count,
  encode: (values, bytes) => void bfloat16Array(values, halvesIn(bytes, values.length)),
  decode: (bytes, values) => void float32FromBfloat16(halvesIn(bytes, values.length), values),
};

const halvesIn = ({ buffer, byteOffset }: Uint8Array, count: number): Uint16Array =>
  new Uint16Array(buffer, byteOffset, count);

const CODECS: Readonly<Record<SentFormat, Codec>> = { bf16: BF16, int8: INT8 };

/** Encodes and decodes arrays. Bytes begin at a multiple of 4 in their buffer, so `byteLength` is one. */
export function codecOf(format: SentFormat): Codec {
  const codec = CODECS[format];
  return { ...codec, byteLength: (count) => 4 * Math.ceil(codec.byteLength(count) / 4) };
}
