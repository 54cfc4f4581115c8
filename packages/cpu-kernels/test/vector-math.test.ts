import { expect, test } from 'vitest';
import { everyLevel } from './every-level.ts';

const levels = await everyLevel([1]);

/**
 * Distance between got and the true value, in units in the last place of the true value as a normal float32.
 */
const ulps = (got: number, want: number): number =>
  Math.abs(got - want) / 2 ** (Math.max(Math.floor(Math.log2(Math.abs(want))), -126) - 23);

test('the exponential is within 2 ulp over its normal range, at every level', () => {
  const x = Float32Array.from({ length: 400_000 }, (_, i) => -87.3 + (i * 175.9) / 400_000);
  const y = new Float32Array(x.length);
  for (const { backends } of levels) {
    backends[0].native('exponentials')(x, y);
    let worst = 0;
    for (let i = 0; i < x.length; i++) worst = Math.max(worst, ulps(y[i], Math.exp(x[i])));
    expect(worst).toBeLessThanOrEqual(2);
  }
});

test('the exponential keeps its limits: 1 at ±0, 0 and ∞ outside, NaN for NaN', () => {
  const x = Float32Array.of(0, -0, -100, -Infinity, 89, Infinity, NaN);
  const y = new Float32Array(x.length);
  for (const { backends } of levels) {
    backends[0].native('exponentials')(x, y);
    expect(Array.from(y)).toEqual([1, 1, 0, 0, Infinity, Infinity, NaN]);
  }
});

test('2^x is within 3 ulp over its normal range, exactly 1 at ±0, nothing below it, and NaN for NaN', () => {
  const x = Float32Array.from({ length: 400_000 }, (_, i) => -126 + (i * 253.9) / 400_000);
  const y = new Float32Array(x.length);
  const edges = Float32Array.of(0, -0, -Infinity, -200, NaN, -126, 10, -3, -126.5);
  const out = new Float32Array(9);
  for (const { backends } of levels) {
    backends[0].native('exponentials2')(x, y);
    let worst = 0;
    for (let i = 0; i < x.length; i++) worst = Math.max(worst, ulps(y[i], 2 ** x[i]));
    expect(worst).toBeLessThanOrEqual(3);
    backends[0].native('exponentials2')(edges, out);
    expect(Array.from(out.slice(0, 5))).toEqual([1, 1, 0, 0, NaN]);
    for (const [i, want] of [
      [5, 2 ** -126],
      [6, 1024],
      [7, 0.125],
    ] as const)
      expect(ulps(out[i], want)).toBeLessThanOrEqual(3);
    expect(out[8]).toBeLessThan(2 ** -126);
  }
});

test('the sigmoid is within 3 ulp where it is normal, and 0 and 1 at the ends', () => {
  const x = Float32Array.from({ length: 100_001 }, (_, i) => -80 + (i * 160) / 100_000);
  const y = new Float32Array(x.length);
  const ends = new Float32Array(2);
  for (const { backends } of levels) {
    backends[0].native('sigmoids')(x, y);
    let worst = 0;
    for (let i = 0; i < x.length; i++) worst = Math.max(worst, ulps(y[i], 1 / (1 + Math.exp(-x[i]))));
    expect(worst).toBeLessThanOrEqual(3);
    backends[0].native('sigmoids')(Float32Array.of(-Infinity, Infinity), ends);
    expect(Array.from(ends)).toEqual([0, 1]);
  }
});

test('the hyperbolic tangent is within 3 ulp, odd, and ±1 at the ends', () => {
  const x = Float32Array.from({ length: 40_001 }, (_, i) => (i - 20_000) * (i % 2 ? 5e-4 : 2e-5));
  const y = new Float32Array(x.length);
  const negative = new Float32Array(x.length);
  const ends = new Float32Array(5);
  for (const { backends } of levels) {
    backends[0].native('hyperbolicTangents')(x, y);
    let worst = 0;
    for (let i = 0; i < x.length; i++)
      worst = Math.max(worst, x[i] === 0 ? Math.abs(y[i]) : ulps(y[i], Math.tanh(x[i])));
    expect(worst).toBeLessThanOrEqual(3);
    backends[0].native('hyperbolicTangents')(
      x.map((number) => -number),
      negative,
    );
    expect(negative).toEqual(y.map((number) => -number));
    backends[0].native('hyperbolicTangents')(Float32Array.of(-Infinity, Infinity, 0, -0, NaN), ends);
    expect(Array.from(ends)).toEqual([-1, 1, 0, -0, NaN]);
  }
});
