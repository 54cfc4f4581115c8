import { describe, expect, test } from 'vitest';
import { fromFloat16, halfReader, isHalfDType, narrowHalves, rounderTo, widenHalves } from '../index.ts';

/** Codes of +0 … 65504, the largest float16. */
const FINITE = 0x7c00;
const INFINITE = 0x7c00;

/** The bits of float32 at and beside every middle of two neighbours, of both signs. */
function bitsAroundMiddles(): Uint32Array {
  const middles = Float32Array.from({ length: FINITE }, (_, code) => {
    const next = code + 1 < FINITE ? fromFloat16(code + 1) : 65536;
    return (fromFloat16(code) + next) / 2;
  });
  return Uint32Array.from(
    [...new Uint32Array(middles.buffer)].flatMap((bits) =>
      [bits - 1, bits, bits + 1].flatMap((near) => [near, near | 0x80000000]),
    ),
  );
}

/** As in packages/testing/makers/make_float16.py. */
const hashOf = (words: ArrayLike<number>): number => {
  let hash = 0;
  for (let i = 0; i < words.length; i++)
    for (const bits of [words[i] >>> 16, words[i] & 0xffff]) hash = (Math.imul(hash, 31) + bits) >>> 0;
  return hash;
};

describe('float16', () => {
  test('has the sign, exponent and fraction of IEEE 754 in every code', () => {
    for (let code = 0; code < 65536; code++) {
      const exponent = (code >> 10) & 31;
      const fraction = code & 1023;
      const size =
        exponent === 31
          ? fraction === 0
            ? Infinity
            : NaN
          : exponent === 0
            ? fraction / 2 ** 24
            : ((1024 + fraction) * 2 ** exponent) / 2 ** 25;
      if (!Object.is(halfReader('f16')(code), code < 0x8000 ? size : -size)) expect(code).toBe('its number');
    }
  });

  test('is the nearest one on both sides of every middle, and the even one on it', () => {
    const bits = bitsAroundMiddles();
    const codes = narrowHalves('f16', new Float32Array(bits.buffer));
    // six for each code: below, on and above the middle, of both signs
    for (let i = 0; i < codes.length; i++) {
      const code = Math.floor(i / 6);
      const place = Math.floor((i % 6) / 2);
      const isUp = place === 2 || (place === 1 && code % 2 === 1);
      const wanted = (code + (isUp ? 1 : 0)) | (i % 2 === 1 ? 0x8000 : 0);
      if (codes[i] !== wanted) expect([bits[i], codes[i]]).toEqual([bits[i], wanted]);
    }
  });

  test('has the bits of torch 2.13.0: of all codes widened, and of all middles narrowed', () => {
    const codes = Uint16Array.from({ length: 65536 }, (_, code) => code);
    const numbers = codes.filter((code) => (code & 0x7fff) <= INFINITE);
    expect(hashOf(new Uint32Array(widenHalves('f16', numbers).buffer))).toBe(3988424064);
    expect(hashOf(narrowHalves('f16', new Float32Array(bitsAroundMiddles().buffer)))).toBe(3152805888);
  });

  test('overflows to infinity, underflows to a zero of the same sign, and keeps NaN', () => {
    const values = Float32Array.of(65504, 65519.99, 65520, -1e30, Infinity, 2 ** -24, 2 ** -25, -(2 ** -26));
    expect(Array.from(narrowHalves('f16', values))).toEqual([
      0x7bff,
      0x7bff,
      INFINITE,
      0x8000 | INFINITE,
      INFINITE,
      1,
      0,
      0x8000,
    ]);
    expect(widenHalves('f16', narrowHalves('f16', Float32Array.of(NaN)))).toEqual(Float32Array.of(NaN));
  });
});

test('an operand is rounded as an array is, in both types of two bytes', () => {
  const values = Float32Array.of(0.1, -3.14159, 65519, 1e-7, -0, Infinity);
  for (const dtype of ['bf16', 'f16'] as const)
    expect(Float32Array.from(values, rounderTo(dtype))).toEqual(
      widenHalves(dtype, narrowHalves(dtype, values)),
    );
  expect(Float32Array.from(values, rounderTo('f32'))).toEqual(values);
  expect(['bf16', 'f16', 'f32', 'u8', 'toString'].map(isHalfDType)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});
