import { describe, expect, test } from 'vitest';
import {
  peftScaling,
  RANK_SCALINGS,
  rankSampler,
  rankSet,
  scaleAt,
  sliceRank,
  sliceState,
  truncateBySvd,
  updatedRows,
} from '../index.ts';
import { adaptedToy } from '../../test/adapted-toy.ts';

describe('ranks', () => {
  test.each([
    [[], /\[ranks\] the list of ranks is empty/],
    [[0], /a rank must be a whole number within 1…4096 \(got 0\)/],
    [[1, 1], /the rank 1 is listed twice/],
    [[1.5], /\(got 1\.5\)/],
    [[-2], /\(got -2\)/],
  ])('the list %j is refused', (list, message) => {
    expect(() => rankSet(list)).toThrowError(message);
  });
  test('a rank outside 1…maxRank is refused, whoever asks', async () => {
    const adapted = adaptedToy(1);
    const state = await adapted.state();
    for (const rank of [0, 9, 1.5, NaN]) {
      expect(() => adapted.atRank(rank)).toThrowError(/the rank must be a whole number within 1…8/);
      expect(() => sliceRank(state, rank)).toThrowError(/the rank must be a whole number within 1…8/);
    }
  });
  test('a promise of a state is refused as such, by each slice', () => {
    const promise = adaptedToy(1).state() as never;
    for (const slice of [sliceRank, sliceState, truncateBySvd])
      expect(() => slice(promise, 2)).toThrowError(
        /must be the state of an adapter .*Pass await adapted\.state\(\)/,
      );
  });
  test('a sampler over a list is refused with the call that makes a set of it', () => {
    expect(() => rankSampler([1, 2] as never, { seed: 1 })).toThrowError(
      /must be a set of ranks \(got \[1,2\]\)\. Pass rankSet\(/,
    );
  });
  test('sampled ranks follow the distribution and depend on seed and step alone', () => {
    const set = rankSet([1, 2, 4]);
    const sampler = rankSampler(set, { distribution: [1, 0, 3], seed: 5 });
    const counts = new Map<number, number>();
    for (let step = 0; step < 8000; step++)
      counts.set(sampler.rankAt(step), (counts.get(sampler.rankAt(step)) ?? 0) + 1);
    expect(counts.get(2)).toBeUndefined();
    // five standard deviations
    expect(Math.abs(counts.get(4)! / 8000 - 0.75)).toBeLessThan(5 * Math.sqrt((0.75 * 0.25) / 8000));
    expect(rankSampler(set, { distribution: [1, 0, 3], seed: 5 }).rankAt(77)).toBe(sampler.rankAt(77));
  });
  test('sandwich always has the largest rank in one part and the drawn one in the other', () => {
    const sampler = rankSampler(rankSet([1, 2, 8]), { seed: 1, schedule: 'sandwich' });
    for (let step = 0; step < 50; step++)
      expect([sampler.ranksOfPart(step, 0, 2), sampler.ranksOfPart(step, 1, 2)]).toEqual([
        [8],
        [sampler.rankAt(step)],
      ]);
  });
  test('the rows that newest_block may touch are the blocks of the ranks seen', () => {
    expect(updatedRows('newest_block', rankSet([1, 4, 8]), [8, 1, 8])).toEqual([
      [0, 1],
      [4, 8],
    ]);
    expect(updatedRows('prefix', rankSet([1, 4, 8]), [1])).toEqual([[0, 8]]);
    // ranks between listed ones: their blocks overlap
    expect(updatedRows('newest_block', rankSet([1, 4, 8]), [6, 8, 1])).toEqual([
      [0, 1],
      [4, 8],
    ]);
    expect(updatedRows('newest_block', rankSet([1, 4, 8]), [6, 3])).toEqual([
      [1, 3],
      [4, 6],
    ]);
  });
  test('the scalings are alpha over b, over √b, alpha itself, with a little more, and alpha over R', () => {
    expect(RANK_SCALINGS.map((scaling) => scaleAt(scaling, 8, 4, 64))).toEqual([2, 4, 8, 9.5, 0.125]);
  });
  test('an unknown scaling has neither a scale nor keys of PEFT', () => {
    for (const scaleOf of [scaleAt, peftScaling])
      expect(() => scaleOf('other' as never, 8, 4, 64)).toThrowError(
        /\[lora_scaling\] the scaling must be one of paper, sqrt, .*\(got other\)/,
      );
  });
  test.each(RANK_SCALINGS)('the scale of %s is the one that PEFT computes from its own keys', (scaling) => {
    for (const rank of [1, 4, 9, 64]) {
      const { loraAlpha, useRslora } = peftScaling(scaling, 8, rank, 64);
      expect(loraAlpha / (useRslora ? Math.sqrt(rank) : rank)).toBeCloseTo(scaleAt(scaling, 8, rank, 64), 12);
    }
  });
});
