import { describe, expect, it } from 'vitest';
import { hasDiverged, rangeRates, suggestRate } from './suggest-rate.ts';

const rates = rangeRates(1e-6, 1e-1, 51);
const curve = (lossOf: (rate: number) => number) =>
  rates.map((learningRate) => ({ learningRate, loss: lossOf(learningRate) }));

/** Falls around `fall`, and grows without bound from `blowUp` on. */
const falling = (fall: number, blowUp: number) =>
  curve((rate) => 3 - 1 / (1 + fall / rate) + (rate > blowUp ? rate / blowUp : 0));

describe('a range test', () => {
  it('rises exponentially, from one end to the other', () => {
    expect(rangeRates(1e-4, 1e-2, 3).map((rate) => rate.toPrecision(6))).toEqual([
      '0.000100000',
      '0.00100000',
      '0.0100000',
    ]);
    expect(rangeRates(1e-4, 1e-2, 1)).toEqual([1e-4]);
  });

  it('suggests the rate of steepest descent where nothing diverges', () => {
    const { learningRate, divergence } = suggestRate(falling(1e-3, Infinity))!;
    expect(divergence).toBeNull();
    // smoothing over five steps of 10^(1/10) delays it by less than a factor of five
    expect(learningRate).toBeGreaterThan(5e-4);
    expect(learningRate).toBeLessThan(5e-3);
  });

  it('suggests at most a tenth of the rate at which the loss diverges', () => {
    const points = falling(1e-3, 4e-3);
    const { learningRate, divergence } = suggestRate(points)!;
    expect(hasDiverged(points)).toBe(true);
    expect(divergence).toBeGreaterThanOrEqual(4e-3);
    expect(learningRate).toBeLessThanOrEqual(divergence! / 10);
  });

  it('takes a loss that is not finite as a divergence, and suggests nothing where no loss fell', () => {
    expect(suggestRate(curve((rate) => (rate > 1e-2 ? NaN : 3 - rate)))!.divergence).toBeGreaterThan(1e-2);
    expect(suggestRate(curve(() => 3))).toBeNull();
    expect(suggestRate([])).toBeNull();
  });
});
