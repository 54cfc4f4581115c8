import fc from 'fast-check';
import { expect, it } from 'vitest';
import { anchorLevel, levelSampler, rankSampler, rankSet } from '../index.ts';

const levelLists = fc.subarray([3, 4, 8], { minLength: 1 });
const STEPS = 4000;

it('sampled levels are a function of seed and step, and of every two steps one is at the anchor', () => {
  fc.assert(
    fc.property(levelLists, fc.nat(), fc.nat(1000), (levels, seed, step) => {
      const sampler = levelSampler(levels, { seed });
      const level = sampler.levelAt(step, 0);
      expect(levels).toContain(level);
      expect(levelSampler(levels.toReversed(), { seed }).levelAt(step, 7)).toBe(level);
      const pair = [2 * step, 2 * step + 1].map((each) => sampler.levelAt(each, 0));
      const anchored = pair.filter((each) => each === sampler.anchor).length;
      expect(anchored).toBe(levels.length === 1 ? 2 : 1);
    }),
  );
});

it('distilled levels keep every step at the anchor, and students at the levels that would be sampled', () => {
  fc.assert(
    fc.property(levelLists, fc.nat(), fc.nat(1000), (levels, seed, step) => {
      const sampler = levelSampler(levels, { seed, schedule: 'distilled' });
      expect(sampler.levelAt(step, 3)).toBe(sampler.anchor);
      expect(sampler.studentLevelAt!(step)).toBe(levelSampler(levels, { seed }).levelAt(step, 0));
    }),
  );
  expect(levelSampler([3, 4], { seed: 1 }).studentLevelAt).toBeUndefined();
});

it('sampled levels are independent of sampled ranks, and of the parity of the step', () => {
  const sampler = levelSampler([3, 4, 8], { seed: 7 });
  const ranks = rankSampler(rankSet([1, 2]), { seed: 7 });
  const counts = new Map<string, number>();
  for (let step = 0; step < STEPS; step++)
    for (const key of [
      `${sampler.levelAt(step, 0)} ${ranks.rankAt(step)}`,
      `${sampler.levelAt(step, 0)}p${step % 2}`,
    ])
      counts.set(key, (counts.get(key) ?? 0) + 1);
  // 4 bits: half of the steps; 3 and 8: a quarter each; and half of these at each rank and parity
  for (const [level, share] of [
    [3, 1 / 8],
    [4, 1 / 4],
    [8, 1 / 8],
  ] as const)
    for (const other of [' 1', ' 2', 'p0', 'p1'])
      expect(Math.abs(counts.get(`${level}${other}`)! / STEPS - share)).toBeLessThan(
        4 * Math.sqrt(share / STEPS), // four standard errors at least
      );
});

it('descending levels have equal parts of the run, from most bits to fewest', () => {
  const sampler = levelSampler([4, 3, 8], { seed: 0, schedule: 'descending', totalSteps: 6 });
  expect(Array.from({ length: 7 }, (_, step) => sampler.levelAt(step, 0))).toEqual([8, 8, 4, 4, 3, 3, 3]);
});

it('feedback moves to fewer bits with every evaluation that did not improve, and stays at the fewest', () => {
  const sampler = levelSampler([3, 8, 4], { seed: 0, schedule: 'feedback' });
  expect([0, 1, 2, 3].map((plateaus) => sampler.levelAt(5, plateaus))).toEqual([8, 4, 3, 3]);
});

it('evaluations are at 4 bits where the list has them, else at the most bits', () => {
  expect([[3, 4, 8], [4], [3], [8, 3]].map(anchorLevel)).toEqual([4, 4, 3, 8]);
});

it('other levels, schedules and options are refused', () => {
  for (const levels of [[], [4, 4], [2], ['4'], 4] as never[])
    expect(() => levelSampler(levels, { seed: 0 })).toThrow(/must be different ones of 3, 4, 8 \(got/);
  expect(() => levelSampler([4], { seed: 0, schedule: 'rising' as never })).toThrow(
    /must be one of distilled, sampled, descending, feedback \(got rising\)/,
  );
  expect(() => levelSampler([4], { seed: 0, schedule: 'descending' })).toThrow(/needs `totalSteps`/);
  expect(() => levelSampler([4], { sed: 0 } as never)).toThrow(/sed/);
});
