import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { goldenSums } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { effectiveSize, scoreReport, wilsonInterval, type DocumentScores } from '../index.ts';
import { midPValue } from '../statistics/mcnemar-test.ts';

const FOLDER = fileURLToPath(new URL('../../fixtures/statistics', import.meta.url));

interface Expected {
  readonly mcnemar: readonly { readonly b: number; readonly c: number; readonly mid_p: number }[];
  readonly wilson: readonly {
    readonly correct: number;
    readonly size: number;
    readonly interval: readonly number[];
  }[];
  readonly clustered: readonly {
    readonly scores: readonly number[];
    readonly clusters: readonly number[];
    readonly effective_size: number;
    readonly interval: readonly number[];
  }[];
  readonly reports: readonly {
    readonly ranks: readonly number[];
    readonly scores: readonly (readonly number[])[];
    readonly means: readonly number[];
    readonly best: number;
    readonly p_values: readonly number[];
    readonly standard_errors: readonly number[];
  }[];
}
const expected = JSON.parse(readFileSync(join(FOLDER, 'statistics.expected.json'), 'utf8')) as Expected;

/** Up to 1e-9 of the value: ln Γ of 10⁴ has 1e-11 of absolute error, and p inherits it as a relative one. */
const near = (value: number, wanted: number): void => {
  expect(Math.abs(value - wanted)).toBeLessThanOrEqual(1e-9 * Math.abs(wanted) + 1e-15);
};
/** z is rounded to six decimals here: its relative error of 2e-8 moves an end by less than 1e-7. */
const nearEnds = (value: readonly number[], wanted: readonly number[]): void => {
  value.forEach((end, i) => expect(Math.abs(end - wanted[i])).toBeLessThan(1e-7));
};

const scoresOf = (values: readonly number[]): DocumentScores => ({
  sums: Float64Array.from(values),
  counts: new Float64Array(values.length).fill(1),
});

describe('statistics of scores, against scipy and statsmodels', () => {
  it('the golden file has the hash of SHA256SUMS', () => {
    for (const { said, hash } of goldenSums(FOLDER)) expect(hash).toBe(said);
  });

  it.each(expected.mcnemar)('the mid-p value of $b and $c discordant examples', ({ b, c, mid_p: wanted }) => {
    near(midPValue(b, c), wanted);
  });

  it.each(expected.wilson)("Wilson's interval of $correct of $size", ({ correct, size, interval }) => {
    nearEnds(wilsonInterval(correct / size, size), interval);
  });

  it.each(expected.clustered)(
    'the interval of a proportion in clusters of $effective_size documents',
    (one) => {
      const size = effectiveSize(one.scores, one.clusters);
      near(size, one.effective_size);
      const report = scoreReport({
        task: 'group',
        metric: 'acc',
        filter: 'none',
        higherIsBetter: true,
        measured: [{ rank: 4, scores: scoresOf(one.scores) }],
        base: null,
        clusters: one.clusters,
      });
      nearEnds(report.ranks[0].interval, one.interval);
    },
  );

  it.each(expected.reports)('scores, comparisons and choice of five ranks', (one) => {
    const report = scoreReport({
      task: 'quiz',
      metric: 'acc',
      filter: 'none',
      higherIsBetter: true,
      measured: one.ranks.map((rank, i) => ({ rank, scores: scoresOf(one.scores[i]) })),
      base: null,
    });
    expect(report.bestRank).toBe(one.ranks[one.best]);
    report.ranks.forEach(({ score, versusBest, notWorse }, i) => {
      near(score, one.means[i]);
      near(versusBest.pValue, one.p_values[i]);
      expect(Math.abs(versusBest.standardError - one.standard_errors[i])).toBeLessThan(1e-12);
      expect(versusBest.mean).toBeCloseTo(one.means[i] - one.means[one.best], 12);
      expect(notWorse).toBe(one.p_values[i] >= 0.05);
    });
  });
});
