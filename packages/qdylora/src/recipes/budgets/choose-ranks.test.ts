import type { AdapterState } from '@qdylora/lora-dynamic';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { trainedTogether } from './choose-ranks.ts';
import { bytesAtRanks } from './cut-adapter.ts';

const layers = fc.array(
  fc.record({ inFeatures: fc.integer({ min: 1, max: 9 }), outFeatures: fc.integer({ min: 1, max: 9 }) }),
  { minLength: 1, maxLength: 5 },
);
const ranks = fc.constantFrom([1, 2, 4], [2, 8], [3], [4, 5]);

it('rows that were trained together are kept together, within the bytes, as many as fit', () => {
  fc.assert(
    fc.property(
      layers,
      ranks,
      fc.integer({ min: 1, max: 2000 }),
      fc.infiniteStream(fc.double({ min: 1e-3, max: 9, noNaN: true })),
      (shapes, ranks, budget, gains) => {
        const [smallest] = ranks;
        const maxRank = ranks.at(-1)!;
        const named = shapes.map((shape, i) => ({ name: `layer ${i}`, ...shape }));
        const state = { layers: named, ranks, maxRank } as unknown as AdapterState;
        const bytesAt = (rank: number): number =>
          bytesAtRanks(state, new Map(named.map(({ name }) => [name, rank])));
        const weighed = {
          state,
          gains: named.map((layer) => ({
            ...layer,
            gains: Float64Array.from({ length: maxRank }, () => gains.next().value as number)
              .sort()
              .reverse(),
          })),
        };
        const chosen = trainedTogether(budget, weighed);
        const smallestLayer = Math.min(
          ...named.map((layer) => 4 * smallest * (layer.inFeatures + layer.outFeatures)),
        );
        expect(chosen === null).toBe(smallestLayer > budget);
        if (!chosen) return;
        expect(bytesAtRanks(state, chosen)).toBeLessThanOrEqual(budget);
        const kept = new Set(chosen.values());
        const fitting = ranks.findLast((rank) => bytesAt(rank) <= budget);
        if (fitting !== undefined) expect([...kept]).toEqual([fitting]);
        else {
          for (const rank of kept) expect([0, smallest]).toContain(rank);
          expect(kept).toContain(smallest);
        }
      },
    ),
  );
});
