import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  rankProbabilities,
  rankSampler,
  rankSet,
  RANK_DISTRIBUTIONS,
  RANK_SCHEDULES,
  type RankDistribution,
  type RankSchedule,
  type RankSet,
} from '../index.ts';

const sets = fc
  .uniqueArray(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 8 })
  .map((ranks) => rankSet(ranks));
/** A set, and a distribution over it: named, or weights of which some may be 0. */
const drawn = sets.chain((set) =>
  fc.record({
    set: fc.constant(set),
    distribution: fc.oneof(
      fc.constantFrom<RankDistribution>(...RANK_DISTRIBUTIONS),
      fc
        .array(fc.integer({ min: 0, max: 5 }), { minLength: set.ranks.length, maxLength: set.ranks.length })
        .filter((weights) => weights.some((weight) => weight > 0)),
    ),
  }),
);
const seeds = fc.nat(1e6);
const steps = fc.nat(1e6);
const ranksOf = (
  set: RankSet,
  options: { distribution: RankDistribution; seed: number; schedule: RankSchedule },
  step: number,
  parts: number,
): number[] => {
  const sampler = rankSampler(set, options);
  return Array.from({ length: parts }, (_, part) => sampler.ranksOfPart(step, part, parts)).flat();
};
/** P(rank ≤ b) */
const atMost = (set: RankSet, distribution: RankDistribution, b: number): number =>
  rankProbabilities(set, distribution).reduce((sum, p, i) => sum + (set.ranks[i] <= b ? p : 0), 0);

describe('a distribution over ranks', () => {
  it('sums to 1', () => {
    fc.assert(
      fc.property(drawn, ({ set, distribution }) => {
        expect(rankProbabilities(set, distribution).reduce((a, b) => a + b)).toBeCloseTo(1, 12);
      }),
    );
  });

  it(
    'uniform, geometric and tail_heavy over 1, 2, 4 … 64 are 1/7 each, halves of the one before, and the ' +
      'share of rows that each rank adds',
    () => {
      const set = rankSet([1, 2, 4, 8, 16, 32, 64]);
      expect(rankProbabilities(set, 'uniform')).toEqual(new Array<number>(7).fill(1 / 7));
      expect(rankProbabilities(set, 'geometric')).toEqual(
        [64, 32, 16, 8, 4, 2, 1].map((weight) => weight / 127),
      );
      expect(rankProbabilities(set, 'tail_heavy')).toEqual(
        [1, 1, 2, 4, 8, 16, 32].map((weight) => weight / 64),
      );
    },
  );

  it.each([
    ['upper', 0.5],
    ['top_heavy', 0.75],
  ] as const)(
    '%s draws the largest rank with probability %d, the smallest never, and all others alike',
    (distribution, share) => {
      fc.assert(
        fc.property(sets, (set) => {
          const probabilities = rankProbabilities(set, distribution);
          const between = probabilities.slice(1, -1);
          expect(probabilities.at(-1)).toBe(between.length > 0 ? share : 1);
          if (probabilities.length > 1) expect(probabilities[0]).toBe(0);
          for (const p of between) expect(p).toBeCloseTo((1 - share) / between.length, 15);
        }),
      );
    },
  );

  it(
    'tail_heavy is a uniform draw from 1 … R, rounded up to the next listed rank: row k of any set sees ' +
      'the share (R − start of its block) / R of the steps',
    () => {
      fc.assert(
        fc.property(sets, fc.nat(63), (set, row) => {
          const k = row % set.maxRank;
          const listed = set.ranks.find((rank) => rank > k)!;
          const seen = rankProbabilities(set, 'tail_heavy').reduce(
            (sum, p, i) => sum + (set.ranks[i] > k ? p : 0),
            0,
          );
          expect(seen).toBeCloseTo((set.maxRank - set.blockStart(listed)) / set.maxRank, 12);
        }),
      );
    },
  );

  it('refuses weights that do not fit, by name', () => {
    for (const bad of [[1, 2], [1, -1, 1], [0, 0, 0], [1, NaN, 1], 'heavy'])
      expect(() => rankProbabilities(rankSet([1, 2, 4]), bad as never)).toThrow(
        /the distribution must be uniform, geometric, tail_heavy, upper, top_heavy, or 3 weights/,
      );
  });
});

describe('the ranks of the parts of a step', () => {
  it('are ranks of the distribution (or the largest, in a sandwich), the same at every call', () => {
    fc.assert(
      fc.property(
        drawn,
        fc.constantFrom(...RANK_SCHEDULES),
        seeds,
        steps,
        fc.integer({ min: 1, max: 9 }),
        ({ set, distribution }, schedule, seed, step, parts) => {
          const options = { distribution, seed, schedule };
          const got = ranksOf(set, options, step, parts);
          const allowed = rankProbabilities(set, distribution).flatMap((p, i) =>
            p > 0 ? [set.ranks[i]] : [],
          );
          expect(got).toEqual(ranksOf(set, options, step, parts));
          if (schedule !== 'all')
            for (const rank of got)
              expect(allowed.includes(rank) || (schedule === 'sandwich' && rank === set.maxRank)).toBe(true);
          expect(got.length).toBe(schedule === 'all' ? parts * set.ranks.length : parts);
        },
      ),
    );
  });

  it('one: all parts alike; sandwich: every other the largest; all: every rank once a part', () => {
    fc.assert(
      fc.property(
        drawn,
        seeds,
        steps,
        fc.integer({ min: 2, max: 9 }),
        ({ set, distribution }, seed, step, parts) => {
          const one = ranksOf(set, { distribution, seed, schedule: 'one' }, step, parts);
          const sandwich = ranksOf(set, { distribution, seed, schedule: 'sandwich' }, step, parts);
          expect(new Set(one).size).toBe(1);
          sandwich.forEach((rank, part) => {
            expect(rank).toBe(part % 2 === 0 ? set.maxRank : one[0]);
          });
          expect(ranksOf(set, { distribution, seed, schedule: 'all' }, step, 1)).toEqual(set.ranks);
        },
      ),
    );
  });

  it('stratified: of n parts, those at rank ≤ b are n · P(≤ b) to within one, for every b', () => {
    fc.assert(
      fc.property(
        drawn,
        seeds,
        steps,
        fc.integer({ min: 1, max: 16 }),
        ({ set, distribution }, seed, step, parts) => {
          const got = ranksOf(set, { distribution, seed, schedule: 'stratified' }, step, parts);
          for (const b of set.ranks)
            expect(
              Math.abs(got.filter((rank) => rank <= b).length - parts * atMost(set, distribution, b)),
            ).toBeLessThan(1 + 1e-6);
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each(['one', 'each', 'stratified'] as const)(
    '%s: each part by itself is drawn from the distribution, over many steps',
    (schedule) => {
      const set = rankSet([1, 4, 16]);
      const count = 6000;
      const expected = [0.5, 0.2, 0.3];
      const sampler = rankSampler(set, { distribution: [5, 2, 3], seed: 3, schedule });
      for (const part of [0, 1, 2]) {
        const seen = Array.from({ length: count }, (_, step) => sampler.ranksOfPart(step, part, 3)[0]);
        set.ranks.forEach((rank, i) => {
          const p = expected[i];
          expect(
            Math.abs(seen.filter((one) => one === rank).length / count - p),
            `part ${part}, rank ${rank}`,
          ).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / count)); // five standard deviations
        });
      }
    },
  );

  it(
    'each: two parts meet at the same rank as often as independent draws do, where stratified keeps them ' +
      'apart',
    () => {
      const set = rankSet([1, 4, 16, 64]);
      const count = 4000;
      const meet = (schedule: RankSchedule): number => {
        const sampler = rankSampler(set, { seed: 3, schedule });
        return (
          Array.from(
            { length: count },
            (_, step) => sampler.ranksOfPart(step, 0, 2)[0] === sampler.ranksOfPart(step, 1, 2)[0],
          ).filter(Boolean).length / count
        );
      };
      // Σ p² of four like ranks
      expect(Math.abs(meet('each') - 1 / 4)).toBeLessThan(5 * Math.sqrt(3 / 16 / count));
      expect(meet('stratified')).toBe(0);
    },
  );
});

describe('segments and loss weights', () => {
  it('cut a lone micro batch in two where parts see different ranks, else nothing, unless given', () => {
    const segments = (schedule: RankSchedule, given?: number) =>
      [1, 2, 5].map((batches) =>
        rankSampler(rankSet([1, 2]), { seed: 0, schedule, segments: given }).segmentsOf(batches),
      );
    expect([
      segments('one'),
      segments('all'),
      segments('sandwich'),
      segments('stratified'),
      segments('each'),
    ]).toEqual([
      [1, 1, 1],
      [1, 1, 1],
      [2, 1, 1],
      [2, 1, 1],
      [2, 1, 1],
    ]);
    expect([segments('one', 4), segments('stratified', 4), segments('sandwich', 1)]).toEqual([
      [1, 1, 1],
      [4, 4, 4],
      [1, 1, 1],
    ]);
  });

  it('are 1 where nobody says otherwise, and the factor of their rank', () => {
    const set = rankSet([1, 2, 8]);
    const weighted = rankSampler(set, { seed: 0, lossWeights: [2, 1, 0.5] });
    expect([set.ranks.map(weighted.lossWeightOf), rankSampler(set, { seed: 0 }).lossWeightOf(8)]).toEqual([
      [2, 1, 0.5],
      1,
    ]);
  });

  const sandwichWith = (change: object, options: object = {}): object => ({
    schedule: 'sandwich',
    distillation: { weight: 0.5, topK: 64, ...change },
    ...options,
  });

  it.each<[object, string]>([
    [{ segments: 0 }, '[rank_segments] the number of segments must be a whole number ≥ 1 (got 0)'],
    [{ segments: 1.5 }, '[rank_segments] the number of segments must be a whole number ≥ 1 (got 1.5)'],
    [{ lossWeights: [1] }, '[rank_loss_weights] there must be one weight > 0 for each'],
    [{ lossWeights: [1, 0] }, '[rank_loss_weights] there must be one weight > 0 for each'],
    [{ lossWeights: [1, Infinity] }, '[rank_loss_weights] there must be one weight > 0 for each'],
    [sandwichWith({ weight: 0 }), '[distillation] the weight must be greater than 0 and at most 1 (got 0)'],
    [sandwichWith({ topK: 0.5 }), '[distillation] topK must be a whole number ≥ 1 (got 0.5)'],
    [sandwichWith({}, { schedule: 'one' }), '[distillation] a step of the schedule one has no largest rank'],
    [
      sandwichWith({ student: 'drawn' }, { segments: 2 }),
      '[distillation] micro batches run whole at both ranks',
    ],
    [sandwichWith({ student: 'largest' }), '`student` must be one of smallest, drawn, both'],
    [{ schedule: 'some' }, '[rank_schedule] the schedule must be one of'],
  ])('refuses %j by name', (options, message) => {
    expect(() => rankSampler(rankSet([1, 2]), { seed: 0, ...options } as never)).toThrow(message);
  });

  it('refuses distillation of one rank, which would learn from itself', () => {
    expect(() => rankSampler(rankSet([8]), { seed: 0, ...sandwichWith({}) } as never)).toThrow(
      '[distillation] rank 8 has no other rank to learn from',
    );
  });
});
