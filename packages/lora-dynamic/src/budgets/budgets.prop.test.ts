import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { allocateRanks } from '../index.ts';

describe('ranks under a budget', () => {
  const arbitraryLayers = fc.array(
    fc.record({
      inFeatures: fc.integer({ min: 1, max: 9 }),
      outFeatures: fc.integer({ min: 1, max: 9 }),
      gains: fc
        .array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 1, maxLength: 5 })
        .map((list) => Float64Array.from(list).sort().reverse()),
    }),
    { minLength: 1, maxLength: 5 },
  );
  const named = (layers: readonly { readonly inFeatures: number; readonly outFeatures: number }[]) =>
    layers.map((layer, i) => ({ ...layer, name: `layer ${i}` }));

  test('fit into it, and no row left out that would fit is worth more per byte than one that is in', () => {
    fc.assert(
      fc.property(arbitraryLayers, fc.integer({ min: 80, max: 800 }), (unnamed, budget) => {
        const layers = named(unnamed) as unknown as Parameters<typeof allocateRanks>[0];
        const ranks = allocateRanks(layers, budget);
        const rowBytes = (layer: (typeof layers)[number]): number =>
          4 * (layer.inFeatures + layer.outFeatures);
        const bytes = layers.reduce((sum, layer) => sum + ranks.get(layer.name)! * rowBytes(layer), 0);
        expect(bytes).toBeLessThanOrEqual(budget);
        const gains = (layer: (typeof layers)[number]) =>
          [...layer.gains].map((gain) => gain / rowBytes(layer));
        const worstIn = Math.min(
          ...layers.flatMap((layer) => gains(layer).slice(0, ranks.get(layer.name))),
          Infinity,
        );
        for (const layer of layers) {
          const next = gains(layer)[ranks.get(layer.name)!] ?? 0;
          if (rowBytes(layer) <= budget - bytes) expect(next === 0 || next <= worstIn).toBe(true);
        }
      }),
    );
  });

  test('do not fall when the budget rises', () => {
    const layers = named([
      { inFeatures: 3, outFeatures: 3 },
      { inFeatures: 3, outFeatures: 3 },
    ]).map((layer, i) => ({ ...layer, gains: Float64Array.of(9 - i, 4 - i, 1) }));
    const totals = [24, 48, 96, 144].map((budget) =>
      [...allocateRanks(layers, budget).values()].reduce((sum, rank) => sum + rank, 0),
    );
    expect(totals).toEqual([1, 2, 4, 6]);
  });

  test('are refused without a layer', () => {
    expect(() => allocateRanks([], 100)).toThrow(
      expect.objectContaining({
        code: 'BAD_ARGUMENT',
        message: expect.stringMatching(
          /^\[budget\] There must be at least one layer .*\(got none\)/,
        ) as string,
      }),
    );
  });

  test('are refused for a budget below one row', () => {
    expect(() =>
      allocateRanks([{ name: 'a', inFeatures: 3, outFeatures: 3, gains: Float64Array.of(1) }], 23),
    ).toThrow(/smallest row of an adapter takes 24/);
  });
});
