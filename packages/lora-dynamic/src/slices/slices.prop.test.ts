import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addAdapterInPlace, mergeAtRank, sliceRank, sliceState, truncateBySvd } from '../index.ts';
import { adaptedToy, baseWeightOf, arbitraryRank } from '../../test/adapted-toy.ts';

describe('slicing and merging', () => {
  test('mergeAtRank gives, bit for bit, the merge of what sliceRank gives', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryRank, async ({ seed, rank, scaling }) => {
        const adapted = adaptedToy(seed, { scaling });
        const slice = sliceRank(await adapted.state(), rank);
        let i = 0;
        for await (const merged of mergeAtRank(adapted, rank)) {
          const weight = baseWeightOf(adapted, i);
          expect(merged.weight).toEqual(addAdapterInPlace(weight, slice.layers[i], slice.scale));
          i++;
        }
        expect(i).toBe(slice.layers.length);
      }),
      { numRuns: 20 },
    );
  });

  test('a sliced state computes, bit for bit, what the whole one computes at each of its ranks', async () => {
    await fc.assert(
      fc.asyncProperty(
        arbitraryRank,
        fc.integer({ min: 1, max: 8 }),
        async ({ seed, rank, scaling }, other) => {
          const state = await adaptedToy(seed, { scaling }).state();
          const part = sliceState(state, Math.max(rank, other));
          const smaller = state.ranks.filter((each) => each < part.maxRank);
          expect([part.maxRank, part.ranks]).toEqual([Math.max(rank, other), [...smaller, part.maxRank]]);
          expect(sliceRank(part, Math.min(rank, other))).toEqual(sliceRank(state, Math.min(rank, other)));
        },
      ),
      { numRuns: 40 },
    );
  });

  test('a truncated SVD keeps the product at full rank, and is never farther than the prefix', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 8 }), async (seed, rank) => {
        const state = await adaptedToy(seed).state();
        const full = sliceRank(state, 8);
        const product = (s: ReturnType<typeof sliceRank>, i: number): Float32Array => {
          const l = s.layers[i];
          return addAdapterInPlace(new Float32Array(l.outFeatures * l.inFeatures), l, s.scale);
        };
        const whole = truncateBySvd(state, 8);
        const cut = truncateBySvd(state, rank);
        const prefix = sliceRank(state, rank);
        full.layers.forEach((_, i) => {
          const want = product(full, i);
          const far = (other: Float32Array): number =>
            Math.sqrt(other.reduce((sum, v, at) => sum + (v - want[at]) ** 2, 0));
          const size = far(new Float32Array(want.length));
          expect(far(product(whole, i))).toBeLessThanOrEqual(size * 1e-5);
          expect(far(product(cut, i))).toBeLessThanOrEqual(far(product(prefix, i)) + size * 1e-5);
        });
      }),
      { numRuns: 20 },
    );
  });
});
