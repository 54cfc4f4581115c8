import { createRng } from '@qdylora/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  chooseRank,
  effectiveSize,
  mcNemarTest,
  pairedTTest,
  scoreReport,
  wilsonInterval,
  type DocumentScores,
  type RankScores,
} from '../index.ts';
import { midPValue } from '../statistics/mcnemar-test.ts';

const scores = (values: readonly number[]): DocumentScores => ({
  sums: Float64Array.from(values),
  counts: new Float64Array(values.length).fill(1),
});
const names = { task: 'quiz', metric: 'acc', filter: 'none', higherIsBetter: true };
const report = (measured: readonly RankScores[], base: DocumentScores | null = null) =>
  scoreReport({ ...names, measured, base });

/** Documents that are hard are hard at every rank; each rank is right more often by its shift. */
function drawn(shifts: readonly number[], documents: number, seed: number): RankScores[] {
  const rng = createRng(seed);
  return shifts.map((shift, r) => ({
    rank: 2 ** r,
    scores: scores(
      Array.from({ length: documents }, (_, i) =>
        rng.named('hard').normal(i) + 0.6 * rng.named(`rank ${r}`).normal(i) < shift ? 1 : 0,
      ),
    ),
  }));
}

const tables = fc
  .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 30 }))
  .chain(([ranks, documents]) =>
    fc.array(fc.array(fc.constantFrom(0, 1), { minLength: documents, maxLength: documents }), {
      minLength: ranks,
      maxLength: ranks,
    }),
  )
  .map((rows) => rows.map((row, i): RankScores => ({ rank: 2 ** i, scores: scores(row) })));

describe('mid-p values', () => {
  it('do not depend on the direction, lie in (0, 1], and fall as the counts move apart', () => {
    fc.assert(
      fc.property(fc.nat(400), fc.nat(400), (b, c) => {
        const p = midPValue(b, c);
        expect(midPValue(c, b)).toBe(p);
        expect(p).toBeGreaterThan(0);
        expect(p).toBeLessThanOrEqual(1);
        if (b > 0 && b <= c) expect(midPValue(b - 1, c + 1)).toBeLessThan(p);
      }),
    );
  });
  it('of m discordant examples in one direction are 2⁻ᵐ', () => {
    for (let m = 1; m < 60; m++) expect(midPValue(m, 0) * 2 ** m).toBeCloseTo(1, 11);
  });
  it('are below 5 % in at most about 5 % of comparisons of equal models', () => {
    const trials = 2000;
    const found = Array.from({ length: trials }, (_, seed) => {
      const [a, b] = drawn([0, 0], 80, seed);
      return mcNemarTest(a.scores, b.scores).pValue < 0.05;
    }).filter(Boolean).length;
    expect(found / trials).toBeLessThanOrEqual(0.05 + 2 * Math.sqrt((0.05 * 0.95) / trials));
  });
});

describe('intervals', () => {
  it("Wilson's holds its proportion, lies in [0, 1] and shrinks with the sample", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 500 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (n, share) => {
          const p = Math.round(share * n) / n;
          const [low, high] = wilsonInterval(p, n);
          expect(low).toBeGreaterThanOrEqual(0);
          expect(high).toBeLessThanOrEqual(1);
          expect(low).toBeLessThanOrEqual(p + 1e-12);
          expect(high).toBeGreaterThanOrEqual(p - 1e-12);
          const [wideLow, wideHigh] = wilsonInterval(p, n / 2);
          expect(wideHigh - wideLow).toBeGreaterThanOrEqual(high - low);
        },
      ),
    );
  });
  it('clusters never make a sample larger, and copies of documents add nothing', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(0, 1), { minLength: 4, maxLength: 30 }), (values) => {
        const twice = values.flatMap((value) => [value, value]);
        const clusters = twice.map((_, i) => i >> 1);
        const size = effectiveSize(twice, clusters);
        expect(size).toBeLessThanOrEqual(twice.length);
        const mean = values.reduce<number>((sum, value) => sum + value, 0) / values.length;
        if (mean > 0 && mean < 1) expect(size).toBeCloseTo(values.length - 1, 9);
      }),
    );
  });
});

describe('scoreReport', () => {
  it('has the choice of chooseRank from errors, and marks the ranks of its set', () => {
    fc.assert(
      fc.property(tables, (measured) => {
        const { bestRank, confidenceSet, smallestGoodRank, ranks, test } = report(measured);
        const choice = chooseRank(
          measured.map(({ rank, scores: { sums, counts } }) => ({
            rank,
            losses: { sums: sums.map((sum) => 1 - sum), counts },
          })),
          0.05,
          mcNemarTest,
        );
        expect(test).toBe('mcnemar');
        expect({ bestRank, confidenceSet, smallestGoodRank }).toEqual({
          bestRank: choice.bestRank,
          confidenceSet: choice.confidenceSet,
          smallestGoodRank: choice.smallestGoodRank,
        });
        for (const { rank, notWorse, score, interval } of ranks) {
          expect(notWorse).toBe(confidenceSet.includes(rank));
          expect(score).toBeGreaterThanOrEqual(interval[0] - 1e-12);
          expect(score).toBeLessThanOrEqual(interval[1] + 1e-12);
        }
      }),
    );
  });

  it('of scores that are negated and should be low is the same choice', () => {
    fc.assert(
      fc.property(fc.nat(10_000), (seed) => {
        const measured = drawn([0, 0.2, 0.3], 25, seed).map(({ rank, scores: { sums, counts } }) => ({
          rank,
          scores: { sums: sums.map((sum, i) => sum + (i % 3) / 8), counts },
        }));
        const mirrored = measured.map(({ rank, scores: { sums, counts } }) => ({
          rank,
          scores: { sums: sums.map((sum) => -sum), counts },
        }));
        const high = report(measured);
        const low = scoreReport({ ...names, higherIsBetter: false, measured: mirrored, base: null });
        expect(high.test).toBe('paired_t');
        expect([low.bestRank, low.confidenceSet]).toEqual([high.bestRank, high.confidenceSet]);
        expect(low.detectableDifference).toBe(high.detectableDifference);
      }),
    );
  });

  it('compares each rank with the base: positive is better where high scores are', () => {
    const [rank, base] = drawn([1, -1], 60, 5);
    const { ranks } = report([rank], base.scores);
    expect(ranks[0].versusBase!.mean).toBeGreaterThan(0);
    expect(ranks[0].versusBase!.pValue).toBeLessThan(0.01);
  });

  it.each([
    ['all alike', [0, 0, 0, 0, 0]],
    ['one barely better', [0.05, 0, 0, 0]],
  ])('keeps the truly best rank at least 95 times in 100: %s', (_, shifts) => {
    const trials = 500;
    const kept = Array.from({ length: trials }, (_t, seed) => report(drawn(shifts, 120, seed))).filter(
      ({ confidenceSet }) => confidenceSet.includes(1),
    ).length;
    expect(kept / trials).toBeGreaterThanOrEqual(0.95 - 2 * Math.sqrt((0.95 * 0.05) / trials));
  });

  it('never claims to detect less than the test can call significant: 5 documents at 5 %', () => {
    const same = scores([0, 1, 1, 0, 1, 1, 0, 1, 1, 1]);
    const { detectableDifference } = report([
      { rank: 1, scores: same },
      { rank: 2, scores: same },
    ]);
    expect(detectableDifference).toBe(0.5);
  });

  it('shows a perplexity and its detectable difference, and compares its logarithm, word by word', () => {
    const losses = (values: readonly number[]): DocumentScores => ({
      sums: Float64Array.from(values),
      counts: Float64Array.of(10, 20, 5, 40),
    });
    const worse = losses([31, 62, 15, 121]);
    const better = losses([20, 41, 11, 79]);
    const { ranks, bestRank, detectableDifference } = scoreReport({
      ...names,
      metric: 'word_perplexity',
      higherIsBetter: false,
      aggregate: Math.exp,
      measured: [
        { rank: 1, scores: worse },
        { rank: 2, scores: better },
      ],
      base: null,
    });
    expect(bestRank).toBe(2);
    expect(ranks[0].score).toBeCloseTo(Math.exp(229 / 75), 12);
    expect(ranks[0].versusBest).toEqual(pairedTTest(worse, better));
    // t(0.975) + t(0.8) standard errors of the mean, 3 degrees of freedom, as a difference of perplexities
    const ofMeans = 4.160918617647 * pairedTTest(worse, better).standardError;
    const best = 151 / 75;
    expect(detectableDifference).toBeCloseTo(Math.exp(best + ofMeans) - Math.exp(best), 9);
  });

  it('refuses ranks that were judged on different documents', () => {
    expect(() =>
      report([
        { rank: 1, scores: scores([0, 1]) },
        { rank: 2, scores: scores([0, 1, 1]) },
      ]),
    ).toThrow(/not measured on the same examples/);
  });
});
