import { describe, expect, it } from 'vitest';
import { linearScale, niceTicks, widened } from './scale.ts';

describe('niceTicks', () => {
  it.each([
    [[0.78, 0.97], 5],
    [[0, 1], 5],
    [[1, 150], 8],
    [[-3.2, 4.1], 4],
    [[1e-7, 3e-7], 5],
    [[0.999, 1.001], 5],
  ] as const)('stay inside %j and differ as text', ([from, to], count) => {
    const { ticks, decimals } = niceTicks([from, to], count);
    const texts = ticks.map((tick) => tick.toFixed(decimals));
    expect(ticks.length).toBeGreaterThanOrEqual(2);
    expect(new Set(texts).size).toBe(ticks.length);
    for (const tick of ticks) expect(tick >= from - 1e-12 && tick <= to + 1e-12).toBe(true);
  });

  it('give the one value of an interval without length', () => {
    expect(niceTicks([1, 1], 8).ticks).toEqual([1]);
  });
});

describe('linearScale', () => {
  it('maps ends to ends, and the one value of an empty domain to the middle', () => {
    expect([1, 2, 3].map(linearScale([1, 3], [10, 0]))).toEqual([10, 5, 0]);
    expect(linearScale([7, 7], [0, 10])(7)).toBe(5);
  });
});

describe('widened', () => {
  it('never leaves a point', () => {
    for (const value of [0, 5, -5])
      expect(widened([value, value], 0.1)[1]).toBeGreaterThan(widened([value, value], 0.1)[0]);
  });
});
