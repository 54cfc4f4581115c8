import { createHostBackend, createRng, hostData } from '@qdylora/contract';
import { inferenceContext, Linear, Parameter } from '@qdylora/tensor';
import { randomF32, seededNumbers } from '@qdylora/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { adaptedToy, runToy, toy } from '../../test/adapted-toy.ts';
import {
  attachDyLora,
  groupFrozenLayers,
  observeInputs,
  observeProjections,
  sortByMoments,
  truncateBySvd,
  type AdapterState,
  type InputSums,
} from '../index.ts';

const RANK = 8;

/** Second moments of random inputs of a layer: [RANK, RANK], and the inputs. */
function momentsOf({ layers, maxRank }: AdapterState, seed: number, tokens = 40) {
  const inputs = layers.map(({ name, inFeatures }) => {
    const rng = createRng(seed).named(name);
    // features of different sizes, so that the metric of the inputs matters
    return Float64Array.from(
      { length: tokens * inFeatures },
      (_, i) => rng.normal(i) * (1 + (i % inFeatures)),
    );
  });
  const moments: InputSums = new Map(
    layers.map(({ name, inFeatures, a }, index) => {
      const sums = new Float32Array(maxRank * maxRank);
      for (let t = 0; t < tokens; t++) {
        const u = Array.from({ length: maxRank }, (_, k) => {
          let dot = 0;
          for (let j = 0; j < inFeatures; j++)
            dot += a[k * inFeatures + j] * inputs[index][t * inFeatures + j];
          return dot;
        });
        for (let i = 0; i < maxRank; i++)
          for (let j = 0; j < maxRank; j++) sums[i * maxRank + j] += u[i] * u[j];
      }
      return [name, sums];
    }),
  );
  return { inputs, moments, tokens };
}

interface Factors {
  /** [rank, in] */
  readonly a: Float32Array;
  /** [rank, out] */
  readonly b: Float32Array;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** B·A·x of the first `rank` rows, for all tokens. */
function outputs({ a, b, inFeatures, outFeatures }: Factors, rank: number, x: Float64Array): Float64Array {
  const tokens = x.length / inFeatures;
  const y = new Float64Array(tokens * outFeatures);
  for (let t = 0; t < tokens; t++)
    for (let k = 0; k < rank; k++) {
      let u = 0;
      for (let j = 0; j < inFeatures; j++) u += a[k * inFeatures + j] * x[t * inFeatures + j];
      for (let o = 0; o < outFeatures; o++) y[t * outFeatures + o] += b[k * outFeatures + o] * u;
    }
  return y;
}

const squares = (values: Float64Array): number => values.reduce((sum, value) => sum + value * value, 0);
const difference = (left: Float64Array, right: Float64Array): number =>
  squares(left.map((value, i) => value - right[i]));

/** PEFT's [out, rank] as [rank, out]. */
const rowsOf = (b: Float32Array, rank: number, outFeatures: number): Float32Array =>
  Float32Array.from(
    { length: b.length },
    (_, i) => b[(i % outFeatures) * rank + Math.floor(i / outFeatures)],
  );

describe('observed inputs', () => {
  test('are the sums of (A·x)(A·x)ᵀ over all passes, and the model computes the same bits', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1000), async (seed) => {
        const backend = createHostBackend({ poison: true });
        const next = seededNumbers(seed);
        const linear = (name: string, shape: [number, number]): Linear =>
          new Linear(name, new Parameter(`${name}.weight`, randomF32(shape, next)));
        const model = toy(backend, { first: linear('first', [5, 6]), second: linear('second', [4, 5]) });
        const adapted = attachDyLora(model, { ranks: [1, 3], seed });
        for (const { b } of adapted.layers) hostData(b.view).set(hostData(randomF32(b.view.shape, next)));
        const passes = [randomF32([7, 6], next), randomF32([2, 6], next)];
        using observer = observeInputs(model, adapted);
        const { active } = observer.view;
        const context = { ...inferenceContext(backend), active };
        for (const x of passes)
          expect(hostData(runToy(observer.view.model, context, x).y.view)).toEqual(
            hostData(runToy(adapted.model, context, x).y.view),
          );
        const sums = (await observer.sums()).get('first')!;
        const a = hostData(adapted.layers[0].a.view) as Float32Array;
        const x = passes.flatMap((view) => [...hostData(view)]);
        const u = Array.from({ length: 9 }, (_, t) =>
          [0, 1, 2].map((k) => [0, 1, 2, 3, 4, 5].reduce((sum, j) => sum + a[k * 6 + j] * x[t * 6 + j], 0)),
        );
        for (let i = 0; i < 3; i++)
          for (let j = 0; j < 3; j++)
            expect(sums[i * 3 + j]).toBeCloseTo(
              u.reduce((sum, row) => sum + row[i] * row[j], 0),
              4,
            );
      }),
      { numRuns: 10 },
    );
  });
});

test('another value of the model than the one that was adapted is refused, and its sums are released', () => {
  const backend = createHostBackend({ poison: true });
  const linear = (name: string): Linear =>
    new Linear(name, new Parameter(`${name}.weight`, randomF32([4, 4], seededNumbers(1))));
  const model = toy(backend, { first: linear('first'), second: linear('second') });
  const adapted = attachDyLora(model, { ranks: [1, 3] });
  const half = toy(backend, { ...model.modules, second: linear('second') });
  const { liveBytes } = backend.memory.usage();
  for (const observe of [observeInputs, observeProjections]) {
    expect(() => observe(groupFrozenLayers(model), adapted)).toThrow(
      /2 layers have an adapter, but the model has 0 of them\. Pass the model that was passed to/,
    );
    expect(() => observe(adapted.model, adapted)).toThrow(/the model has 0 of them/);
    expect(() => observe(half, adapted)).toThrow(/the model has 1 of them/);
  }
  expect(backend.memory.usage().liveBytes).toBe(liveBytes);
});

describe('rows sorted by moments', () => {
  test('compute the same as the adapter, and each row adds the energy that it says', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1000), fc.constantFrom(0.25, 1, 3), async (seed, scale) => {
        const state = await adaptedToy(seed, { scaling: 'constant', alpha: scale * RANK }).state();
        const { inputs, moments } = momentsOf(state, seed);
        sortByMoments(state, moments).forEach((sorted, index) => {
          const x = inputs[index];
          const whole = outputs(state.layers[index], RANK, x).map((value) => scale * value);
          const size = squares(whole);
          expect(difference(outputs(sorted, RANK, x), whole)).toBeLessThanOrEqual(1e-9 * size);
          for (let rank = 0; rank < RANK; rank++) {
            const left = difference(outputs(sorted, rank, x), whole);
            const energyLeft = sorted.energies.subarray(rank).reduce((sum, energy) => sum + energy, 0);
            expect(Math.abs(left - energyLeft)).toBeLessThanOrEqual(1e-5 * size);
          }
        });
      }),
      { numRuns: 10 },
    );
  });

  test('are the whole adapter where the inputs had fewer directions than rows, or none', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1000), fc.constantFrom(0, 1, 3), async (seed, tokens) => {
        const state = await adaptedToy(seed, { scaling: 'constant', alpha: RANK }).state();
        const { inputs } = momentsOf(state, seed);
        const { moments } = momentsOf(state, seed, tokens);
        sortByMoments(state, moments).forEach((sorted, index) => {
          const whole = outputs(state.layers[index], RANK, inputs[index]);
          expect(difference(outputs(sorted, RANK, inputs[index]), whole)).toBeLessThanOrEqual(
            1e-9 * squares(whole),
          );
        });
      }),
      { numRuns: 10 },
    );
  });

  test('leave no larger error on these inputs than an SVD that does not know them, at any rank', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1000), fc.integer({ min: 1, max: RANK }), async (seed, rank) => {
        const state = await adaptedToy(seed, { scaling: 'constant', alpha: RANK }).state();
        const { inputs, moments } = momentsOf(state, seed);
        const bySvd = truncateBySvd(state, rank);
        sortByMoments(state, moments).forEach((sorted, index) => {
          const x = inputs[index];
          const whole = outputs(state.layers[index], RANK, x);
          const svd = bySvd.layers[index];
          const plain = { ...svd, b: rowsOf(svd.b, rank, svd.outFeatures) };
          expect(difference(outputs(sorted, rank, x), whole)).toBeLessThanOrEqual(
            difference(outputs(plain, rank, x), whole) + 1e-5 * squares(whole),
          );
        });
      }),
      { numRuns: 10 },
    );
  });
});
