import type { FloatDType, HalfDType } from '../arrays/dtype.ts';
import { bfloat16Array, float32FromBfloat16, fromBfloat16, toBfloat16 } from './bfloat16.ts';
import { float16Array, float32FromFloat16, fromFloat16, toFloat16 } from './float16.ts';

/** The conversions of a type of two bytes. All of them round to nearest, ties to even. */
interface HalfType {
  /** A number → bits. */
  readonly toBits: (value: number) => number;
  /** Bits → the number, exact. */
  readonly fromBits: (bits: number) => number;
  /** Bits of an array → float32. */
  readonly widen: (halves: Uint16Array) => Float32Array;
  /** Float32 → bits, into `out`. */
  readonly narrow: (values: Float32Array, out: Uint16Array) => void;
}

/** Every type of two bytes, once. */
const HALF_TYPES: Readonly<Record<HalfDType, HalfType>> = {
  bf16: {
    toBits: toBfloat16,
    fromBits: fromBfloat16,
    widen: (halves) => float32FromBfloat16(halves),
    narrow: bfloat16Array,
  },
  f16: {
    toBits: toFloat16,
    fromBits: fromFloat16,
    widen: (halves) => float32FromFloat16(halves),
    narrow: float16Array,
  },
};

/** True for the names of the types of two bytes. */
export const isHalfDType = (dtype: unknown): dtype is HalfDType =>
  typeof dtype === 'string' && Object.hasOwn(HALF_TYPES, dtype);

/** Reads bits of this type as a number. */
export const halfReader = (dtype: HalfDType): ((bits: number) => number) => HALF_TYPES[dtype].fromBits;

/** Bits of an array as float32, exact. */
export const widenHalves = (dtype: HalfDType, halves: Uint16Array): Float32Array =>
  HALF_TYPES[dtype].widen(halves);

/**
 * Float32 values as bits of this type, in `out`: to nearest, ties to even. In float16, magnitudes of 65520
 * and more become infinite, and those of 2⁻²⁵ and less become 0.
 *
 * @example
 * narrowHalves('f16', Float32Array.of(1, 65520)); // [0x3c00, 0x7c00]: 1 and infinity
 */
export function narrowHalves(
  dtype: HalfDType,
  values: Float32Array,
  out: Uint16Array = new Uint16Array(values.length),
): Uint16Array {
  HALF_TYPES[dtype].narrow(values, out);
  return out;
}

const itself = (value: number): number => value;

/**
 * A number as the operand of a product that computes in this type: the nearest number of the type.
 *
 * @example
 * rounderTo('f16')(0.1); // 0.0999755859375
 */
export function rounderTo(dtype: FloatDType): (value: number) => number {
  if (dtype === 'f32') return itself;
  const { toBits, fromBits } = HALF_TYPES[dtype];
  return (value) => fromBits(toBits(value));
}
