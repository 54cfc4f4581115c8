import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packSequences } from '../src/index.ts';

const lengths = fc.array(fc.integer({ min: 1, max: 64 }), { maxLength: 80 });
const fill = (pack: readonly number[], sizes: readonly number[]): number =>
  pack.reduce((sum, index) => sum + sizes[index], 0);

describe('packSequences', () => {
  it('puts every sequence into exactly one pack, and no pack is over its capacity', () => {
    fc.assert(
      fc.property(lengths, fc.integer({ min: 64, max: 200 }), (sizes, capacity) => {
        const packs = packSequences(sizes, capacity);
        expect(packs.flat().sort((a, b) => a - b)).toEqual(sizes.map((_, i) => i));
        for (const pack of packs) expect(fill(pack, sizes)).toBeLessThanOrEqual(capacity);
      }),
    );
  });

  it('opens a pack only for a sequence that no earlier pack had room for', () => {
    fc.assert(
      fc.property(lengths, fc.integer({ min: 64, max: 200 }), (sizes, capacity) => {
        const packs = packSequences(sizes, capacity);
        packs.forEach((pack, i) =>
          packs.slice(0, i).forEach((earlier) => {
            // what lay in it by then
            const there = earlier.filter((index) => sizes[index] >= sizes[pack[0]]);
            expect(fill(there, sizes) + sizes[pack[0]]).toBeGreaterThan(capacity);
          }),
        );
      }),
    );
  });

  it('gives the packs of a naive first-fit-decreasing loop', () => {
    fc.assert(
      fc.property(lengths, fc.integer({ min: 64, max: 200 }), (sizes, capacity) => {
        const naive: number[][] = [];
        for (const index of sizes.map((_, i) => i).sort((a, b) => sizes[b] - sizes[a] || a - b)) {
          const pack = naive.find((it) => fill(it, sizes) + sizes[index] <= capacity);
          if (pack) pack.push(index);
          else naive.push([index]);
        }
        expect(packSequences(sizes, capacity)).toEqual(naive);
      }),
    );
  });

  it('refuses a sequence longer than a pack, and an empty one', () => {
    expect(() => packSequences([65], 64)).toThrow(/Sequence 0 must have 1…64 tokens \(got 65/);
    expect(() => packSequences([3, 0], 64)).toThrow(/Sequence 1 must have .* \(got 0/);
  });
});
