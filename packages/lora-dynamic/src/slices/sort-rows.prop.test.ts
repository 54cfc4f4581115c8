import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addAdapterInPlace,
  mixRows,
  sliceRank,
  sortRows,
  truncateBySvd,
  type AdapterState,
} from '../index.ts';
import { adaptedToy } from '../../test/adapted-toy.ts';

/** The toy's layers have at most 6 inputs and 5 outputs, so at rank 4 no row depends on the others. */
const RANK = 4;
const toyState = (seed: number): Promise<AdapterState> =>
  adaptedToy(seed, { ranks: [1, 2, RANK], scaling: 'uniform' }).state();

/** What a state adds to the weight of layer i at a rank. */
function productAt(state: AdapterState, rank: number, i: number): Float32Array {
  const { layers, scale } = sliceRank(state, rank);
  const { outFeatures, inFeatures } = layers[i];
  return addAdapterInPlace(new Float32Array(outFeatures * inFeatures), layers[i], scale);
}

const distance = (left: Float32Array, right: Float32Array): number =>
  Math.sqrt(left.reduce((sum, value, i) => sum + (value - right[i]) ** 2, 0));

const rowNorms = (rows: Float32Array, count: number): number[] => {
  const width = rows.length / count;
  return Array.from({ length: count }, (_, k) =>
    Math.sqrt(rows.subarray(k * width, (k + 1) * width).reduce((sum, value) => sum + value * value, 0)),
  );
};

/** Float32 arrays of numbers near 1, rounded once after sums in float64. */
const CLOSE = 1e-5;

describe('sorting rows', () => {
  test('keeps the product, and each prefix is as near to it as the best of its rank', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: RANK }), async (seed, rank) => {
        const state = await toyState(seed);
        const sorted = sortRows(state).state;
        const best = truncateBySvd(state, rank);
        state.layers.forEach(({ inFeatures, outFeatures }, i) => {
          const product = productAt(state, RANK, i);
          const size = distance(product, new Float32Array(product.length));
          expect(distance(productAt(sorted, RANK, i), product)).toBeLessThanOrEqual(size * CLOSE);
          const bestProduct = addAdapterInPlace(
            new Float32Array(outFeatures * inFeatures),
            best.layers[i],
            best.scale,
          );
          const bestDistance = distance(bestProduct, product);
          expect(Math.abs(distance(productAt(sorted, rank, i), product) - bestDistance)).toBeLessThanOrEqual(
            size * CLOSE,
          );
        });
      }),
      { numRuns: 30 },
    );
  });

  test('gives the rows of A one norm, and those of B falling ones', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        const state = await toyState(seed);
        sortRows(state).state.layers.forEach(({ a, b }, i) => {
          const before = rowNorms(state.layers[i].a, RANK);
          const norm = Math.sqrt(before.reduce((sum, value) => sum + value * value, 0) / RANK);
          for (const value of rowNorms(a, RANK))
            expect(Math.abs(value - norm)).toBeLessThanOrEqual(norm * CLOSE);
          const norms = rowNorms(b, RANK);
          norms.slice(1).forEach((value, k) => expect(value).toBeLessThanOrEqual(norms[k] * (1 + CLOSE)));
        });
      }),
      { numRuns: 30 },
    );
  });

  test('mixes the rows of A and B by inverse transposes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        for (const { ofA, ofB } of sortRows(await toyState(seed)).mixes.values())
          for (let i = 0; i < RANK; i++)
            for (let j = 0; j < RANK; j++) {
              let sum = 0;
              for (let k = 0; k < RANK; k++) sum += ofA[k * RANK + i] * ofB[k * RANK + j];
              expect(sum).toBeCloseTo(i === j ? 1 : 0, 6);
            }
      }),
      { numRuns: 20 },
    );
  });

  test('a second time changes nothing but signs and roundings', async () => {
    const once = sortRows(await toyState(5)).state;
    const twice = sortRows(once).state;
    once.layers.forEach(({ a }, i) =>
      a.forEach((value, at) => expect(Math.abs(twice.layers[i].a[at])).toBeCloseTo(Math.abs(value), 4)),
    );
  });

  test('keeps the product of layers narrower than the rank, and an adapter whose B is 0', async () => {
    const wide = await adaptedToy(3, { ranks: [1, 8], scaling: 'uniform' }).state();
    const sorted = sortRows(wide).state;
    wide.layers.forEach((_, i) => {
      const product = productAt(wide, 8, i);
      const size = distance(product, new Float32Array(product.length));
      expect(distance(productAt(sorted, 8, i), product)).toBeLessThanOrEqual(size * CLOSE);
      expect(sorted.layers[i].a.every(Number.isFinite)).toBe(true);
    });
    const state = await toyState(7);
    const fresh = {
      ...state,
      layers: state.layers.map((layer) => ({ ...layer, b: new Float32Array(layer.b.length) })),
    };
    for (const { a, b } of sortRows(fresh).state.layers) {
      expect(b.every((value) => value === 0)).toBe(true);
      expect(rowNorms(a, RANK).every((norm) => norm > 0)).toBe(true);
    }
  });
});

test('mixRows multiplies rows by weights', () => {
  const rows = Float32Array.of(1, 2, 3, 4, 5, 6);
  expect(mixRows(Float64Array.of(0, 1, 2, -1), rows)).toEqual(Float32Array.of(4, 5, 6, -2, -1, 0));
});
