import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { averageWith, type LossAverage } from './loss-average.ts';

describe('the average of the loss', () => {
  it('weighs a loss n steps ago by 0.9 to the n', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 20, noNaN: true }), { minLength: 1 }), (losses) => {
        const average = losses.reduce<LossAverage | null>(averageWith, null)!;
        const weights = losses.map((_, i) => 0.9 ** (losses.length - 1 - i));
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const mean = losses.reduce((sum, loss, i) => sum + loss * weights[i], 0) / total;
        expect(average.weight).toBeCloseTo(total, 10);
        expect(average.value).toBeCloseTo(mean, 10);
      }),
    );
  });

  it('of equal losses is that loss', () => {
    const average = [3, 3, 3, 3].reduce<LossAverage | null>(averageWith, null)!;
    expect(average.value).toBe(3);
  });
});
