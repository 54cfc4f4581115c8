import { roundHalfEven } from './round-half-even.ts';

/** All 65,536 half floats as float32; built on first use, 256 KiB. */
let table: Float32Array | undefined;

function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const allHalves = (): Float32Array =>
  (table ??= Float32Array.from({ length: 65536 }, (_, i) => halfToFloat(i)));

/** Largest finite number of float16: (2 − 2⁻¹⁰)·2¹⁵. */
export const LARGEST_FLOAT16 = 65504;

/** IEEE half bits → float32, exact. */
export const fromFloat16 = (half: number): number => allHalves()[half & 0xffff];

/** An array of IEEE half bits as float32: `fromFloat16` of each, in a third of the time. */
export function float32FromFloat16(
  halves: Uint16Array,
  out: Float32Array = new Float32Array(halves.length),
): Float32Array {
  const all = allHalves();
  for (let i = 0; i < halves.length; i++) out[i] = all[halves[i]];
  return out;
}

/** float32 → IEEE half bits, round to nearest even; overflow gives infinity. */
export function toFloat16(value: number): number {
  const x = Math.fround(value);
  if (Number.isNaN(x)) return 0x7e00;
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const size = Math.abs(x);
  if (size >= 65520) return sign | 0x7c00; // halfway between 65504 and 2^16 rounds up
  if (size < 2 ** -14) return sign | roundHalfEven(size * 2 ** 24);
  const exponent = Math.floor(Math.log2(size));
  const power =
    2 ** exponent <= size ? (2 ** (exponent + 1) <= size ? exponent + 1 : exponent) : exponent - 1;
  return sign | (((power + 15) << 10) + roundHalfEven((size / 2 ** power - 1) * 1024));
}

/**
 * Float32 values as IEEE half bits: `toFloat16` of each, by whole-number arithmetic on the bits, many times
 * faster.
 */
export function float16Array<B extends ArrayBufferLike = ArrayBuffer>(
  values: Float32Array,
  out: Uint16Array<B> = new Uint16Array(values.length) as Uint16Array<B>,
): Uint16Array<B> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < values.length; i++) out[i] = halfBits(bits[i], values[i]);
  return out;
}

/** Bits of float32: 2^16, infinity, and 2^−14, the smallest normal half. */
const TOO_LARGE = 0x47800000;
const INFINITE = 0x7f800000;
const SMALLEST_NORMAL = 0x38800000;
/** The difference of the exponent biases, 127 − 15, at the place of a half's exponent. */
const REBIAS = (127 - 15) << 10;
/** Bits of a float32 fraction that a half does not have. */
const LOST_BITS = 13;

function halfBits(bits: number, value: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  if (size > INFINITE) return 0x7e00;
  if (size >= TOO_LARGE) return sign | 0x7c00;
  if (size < SMALLEST_NORMAL) return sign | roundHalfEven(Math.abs(value) * 2 ** 24);
  // up past the middle, and on it where the last kept bit is odd
  const rounded = size + (1 << (LOST_BITS - 1)) - 1 + ((size >>> LOST_BITS) & 1);
  return sign | ((rounded >>> LOST_BITS) - REBIAS);
}
