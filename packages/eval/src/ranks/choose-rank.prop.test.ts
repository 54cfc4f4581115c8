import { createRng } from '@qdylora/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseRank, ratioEstimate, type ExampleLosses, type RankLosses } from '../index.ts';

/**
 * `examples` drawn once for all ranks: what is hard is hard for all; each rank adds its shift and its own
 * noise.
 */
function simulated(shifts: readonly number[], examples: number, seed: number): RankLosses[] {
  const rng = createRng(seed);
  const counts = Float64Array.from({ length: examples }, (_, i) => 1 + Math.floor(rng.uniform(i) * 20));
  return shifts.map((shift, r) => ({
    rank: 2 ** r,
    losses: {
      counts,
      sums: counts.map(
        (count, i) =>
          count * (3 + rng.named('hard').normal(i) + shift + 0.3 * rng.named(`rank ${r}`).normal(i)),
      ),
    },
  }));
}

const losses = (values: readonly number[]): ExampleLosses => ({
  sums: Float64Array.from(values),
  counts: new Float64Array(values.length).fill(1),
});

describe('chooseRank', () => {
  it('always has the best rank in its set, and the smallest of the set as its choice', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 1, maxLength: 6 }),
        fc.nat(10_000),
        (shifts, seed) => {
          const measured = simulated(shifts, 12, seed);
          const { bestRank, confidenceSet, smallestGoodRank, versusBest } = chooseRank(measured);
          const means = measured.map((each) => ratioEstimate(each.losses).mean);
          expect(bestRank).toBe(measured[means.indexOf(Math.min(...means))].rank);
          expect(confidenceSet).toContain(bestRank);
          expect(smallestGoodRank).toBe(Math.min(...confidenceSet));
          measured.forEach(({ rank }, i) => {
            expect(versusBest[i].pValue >= 0.05).toBe(confidenceSet.includes(rank));
          });
        },
      ),
    );
  });

  it('has a larger set at a smaller α', () => {
    fc.assert(
      fc.property(fc.nat(10_000), (seed) => {
        const measured = simulated([0.2, 0.1, 0.05, 0], 40, seed);
        const strict = chooseRank(measured, 0.001).confidenceSet;
        for (const rank of chooseRank(measured, 0.2).confidenceSet) expect(strict).toContain(rank);
      }),
    );
  });

  it('finds a clear difference: only the good ranks stay', () => {
    expect(chooseRank(simulated([1, 0.5, 0, 0.002], 200, 3)).confidenceSet).toEqual([4, 8]);
  });

  it.each([
    ['all ranks alike', [0, 0, 0, 0, 0, 0, 0]],
    ['one barely better', [0, 0.02, 0.02, 0.02, 0.02]],
    ['two alike and others far off', [0, 0, 2, 2]],
  ])('keeps the truly best rank at least 95 times in 100: %s', (_, shifts) => {
    const trials = 600;
    const kept = Array.from({ length: trials }, (_t, seed) => chooseRank(simulated(shifts, 60, seed))).filter(
      ({ confidenceSet }) => confidenceSet.includes(1),
    ).length;
    // two standard errors of the simulation
    expect(kept / trials).toBeGreaterThanOrEqual(0.95 - 2 * Math.sqrt((0.95 * 0.05) / trials));
  });

  it('takes the smaller of two equal ranks', () => {
    expect(
      chooseRank([
        { rank: 8, losses: losses([1, 2]) },
        { rank: 4, losses: losses([1, 2]) },
      ]),
    ).toMatchObject({ bestRank: 4, confidenceSet: [4, 8], smallestGoodRank: 4 });
  });
  it('of a single rank is that rank', () => {
    expect(chooseRank([{ rank: 8, losses: losses([1, 2]) }])).toMatchObject({
      bestRank: 8,
      confidenceSet: [8],
    });
  });
  it('of a single example keeps every rank: one example cannot tell', () => {
    expect(
      chooseRank([
        { rank: 1, losses: losses([9]) },
        { rank: 2, losses: losses([1]) },
      ]),
    ).toMatchObject({ bestRank: 2, confidenceSet: [1, 2] });
  });
  it('leaves out a rank that has diverged', () => {
    expect(
      chooseRank([
        { rank: 1, losses: losses([NaN, 1]) },
        { rank: 2, losses: losses([1, 2]) },
      ]),
    ).toMatchObject({ bestRank: 2, confidenceSet: [2] });
  });
  it('refuses where all have diverged, no rank, or a level that is none', () => {
    expect(() => chooseRank([{ rank: 1, losses: losses([Infinity, 1]) }])).toThrow(
      /No rank has a finite loss \(ranks 1\)/,
    );
    expect(() => chooseRank([])).toThrow(/at least one rank/);
    expect(() => chooseRank([{ rank: 1, losses: losses([1, 2]) }], 1)).toThrow(
      /alpha must be a number between 0 and 1 \(got 1\)/,
    );
  });
});

describe('losses that do not fit', () => {
  const of = (sums: number[], counts: number[]): RankLosses[] => [
    { rank: 1, losses: { sums: Float64Array.from(sums), counts: Float64Array.from(counts) } },
  ];
  it.each([
    [[1, 2, 3], [1, 1], /of rank 1 must have one entry for each example \(got 3 sums and 2 counts\)/],
    [[1, 2], [1, -1], /counts of rank 1 must be numbers from 0 on/],
    [[1, 2], [1, NaN], /counts of rank 1 must be numbers from 0 on/],
    [[1, 2], [0, 0], /at least one of them above 0/],
  ])('sums %j with counts %j are refused', (sums, counts, message) => {
    expect(() => chooseRank(of(sums, counts))).toThrow(message);
  });
});
