import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { budgetReport, type MeasuredBudget } from './budget-report.ts';

const EXAMPLES = 40;

/** Losses of a model that is worse by `mean` on all examples, and by something else on each. */
const losses = (mean: number, noise: number) => ({
  sums: Float64Array.from({ length: EXAMPLES }, (_, i) => 3 * (1 + mean + noise * Math.sin(7 * i + mean))),
  counts: new Float64Array(EXAMPLES).fill(3),
});

const measured = (means: readonly number[], noise = 0.01): MeasuredBudget[] =>
  means.map((mean, i) => ({
    budgetBytes: 100 * (i + 1),
    adapterBytes: 100 * (i + 1) - 4,
    smallestRank: 0,
    largestRank: i + 1,
    losses: losses(mean, noise),
  }));

const ranksOf = (means: readonly number[]) =>
  means.map((mean, i) => ({ rank: 2 ** i, losses: losses(mean, 0.01) }));

describe('a report of budgets', () => {
  it('names the smallest budget that is not worse than a rank, and none where all are worse', () => {
    const { smallestNotWorse, budgets } = budgetReport({
      rows: 64,
      measured: measured([0.5, 0.3, 0.1]),
      ranks: ranksOf([0.6, 0.3, 0]),
      alpha: 0.05,
    });
    expect(smallestNotWorse.map(({ rank, budgetBytes }) => [rank, budgetBytes])).toEqual([
      [1, 100],
      [2, 200],
      [4, null],
    ]);
    expect(budgets[1]).toMatchObject({ loss: expect.closeTo(1.3, 2), adapterBytes: 196 });
    expect(budgets[1]).not.toHaveProperty('losses');
  });

  it('never names a larger budget for a rank whose loss is higher everywhere', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 6 }),
        (means) => {
          const [low, high] = [0.2, 0.7];
          const { smallestNotWorse } = budgetReport({
            rows: 1,
            measured: measured(means, 0),
            ranks: [high, low].map((mean, rank) => ({ rank: rank + 1, losses: losses(mean, 0) })),
            alpha: 0.05,
          });
          const [ofHigh, ofLow] = smallestNotWorse.map(({ budgetBytes }) => budgetBytes ?? Infinity);
          expect(ofHigh!).toBeLessThanOrEqual(ofLow!);
        },
      ),
    );
  });

  it('compares nothing on one example', () => {
    const one = { sums: Float64Array.of(1, 0), counts: Float64Array.of(2, 0) };
    const parts = { rows: 1, measured: [{ ...measured([0])[0]!, losses: one }], alpha: 0.05 };
    expect(budgetReport({ ...parts, ranks: [{ rank: 1, losses: one }] }).smallestNotWorse).toEqual([]);
  });
});
