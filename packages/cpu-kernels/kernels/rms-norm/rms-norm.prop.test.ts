import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostData, createHostBackend, f32View, reshaped, runOp, type ArrayView } from '@qdylora/contract';
import { add, residualNorm, rmsNorm, rmsNormBackward } from '@qdylora/tensor';
import {
  arbitrarySeed,
  arbitrarySize,
  checkKernel,
  EPSILON,
  normalView,
  relativeBound,
  type Bound,
} from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
const sizes = fc.tuple(
  arbitrarySize(100),
  arbitrarySize(300).filter((hidden) => hidden > 0),
);

/**
 * A sum of n positive squares in ≥ 4 partial sums: ≤ n/4 + 8 roundings, halved by the root; then one root,
 * one division, two products.
 */
const forwardRoundings = (hidden: number): number => (hidden / 4 + 8) / 2 + 6;

test('rms-norm agrees with its reference at every size, with and without an offset', () => {
  fc.assert(
    fc.property(sizes, arbitrarySeed, fc.constantFrom(0, 1), ([tokens, hidden], seed, weightOffset) => {
      const inputs = { x: normalView(seed, 'x', [tokens, hidden]), weight: normalView(seed, 'w', [hidden]) };
      const relative = relativeBound(forwardRoundings(hidden));
      // weight + 1 is rounded once at the size of its terms, not of the sum
      const bound: Bound = (name, i, want) =>
        relative(name, i, want) +
        (name === 'y' ? EPSILON * 2 * Math.abs(hostData(inputs.x)[i]!) * Math.sqrt(hidden) : 0);
      checkKernel(rmsNorm, levels, { inputs, attributes: { epsilon: 1e-5, weightOffset }, bound });
    }),
    { numRuns: 25 },
  );
});

test(
  'residual-norm has the bits of add and then rms-norm, in an array of its own or over b, and agrees ' +
    'with its reference',
  () => {
    fc.assert(
      fc.property(sizes, arbitrarySeed, fc.constantFrom(0, 1), ([tokens, hidden], seed, weightOffset) => {
        const [a, b] = ['a', 'b'].map((name) => normalView(seed, name, [tokens, hidden])) as [
          ArrayView<'f32'>,
          ArrayView<'f32'>,
        ];
        const weight = normalView(seed, 'w', [hidden]);
        const attributes = { epsilon: 1e-5, weightOffset };
        for (const {
          backends: [backend],
        } of levels) {
          const sum = runOp(backend!, add, { a, b }, {}).y;
          const apart = runOp(backend!, rmsNorm, { x: sum, weight }, attributes);
          const over = f32View([tokens, hidden], hostData(b).slice());
          for (const together of [
            runOp(backend!, residualNorm, { a, b, weight }, attributes),
            runOp(backend!, residualNorm, { a, b: over, weight }, attributes, { sum: over }),
          ]) {
            expect([together.sum, together.y, together.inverseRms].map((view) => hostData(view))).toEqual(
              [sum, apart.y, apart.inverseRms].map((view) => hostData(view)),
            );
          }
        }
        // |a + b| ≤ 12: its rounding and that of weight + 1 are relative to the terms, not to the sums
        const relative = relativeBound(forwardRoundings(hidden) + 4);
        const bound: Bound = (name, _, want) =>
          relative(name, 0, want) + (name === 'y' ? 40 * EPSILON * 12 * Math.sqrt(hidden) : 0);
        checkKernel(residualNorm, levels, { inputs: { a, b, weight }, attributes, bound });
      }),
      { numRuns: 12 },
    );
  },
);

test("its gradient agrees: new, added to dx, with and without the weight's", () => {
  fc.assert(
    fc.property(
      sizes,
      arbitrarySeed,
      fc.boolean(),
      fc.boolean(),
      ([tokens, hidden], seed, accumulate, withWeight) => {
        const x = normalView(seed, 'x', [tokens, hidden]);
        const weight = normalView(seed, 'w', [hidden]);
        const dy = normalView(seed, 'dy', [tokens, hidden]);
        const { inverseRms } = runOp(
          createHostBackend(),
          rmsNorm,
          { x, weight },
          { epsilon: 1e-5, weightOffset: 0 },
        );
        const given = {
          ...(accumulate && { dx: normalView(seed, 'dx', [tokens, hidden]) }),
          ...(withWeight && { dWeight: normalView(seed, 'dw', [hidden]) }),
        };
        // |x|, |dy|, |w| ≤ 6, so r·w·dy and r³·c·x are ≤ 36·r and 6³·r³·6; c sums `hidden` products, dWeight
        // sums `tokens` of |dy·x·r| ≤ 36·r.
        const largest = hostData(inverseRms).reduce((most, r) => Math.max(most, r), 0);
        const roundings = Math.max(hidden, tokens) + 20;
        const bound: Bound = () => roundings * EPSILON * (36 * largest + 1296 * largest ** 3 + 6);
        checkKernel(rmsNormBackward, levels, {
          inputs: { x, weight, inverseRms, dy },
          attributes: { epsilon: 1e-5, weightOffset: 0, accumulate },
          given,
          bound,
        });
      },
    ),
    { numRuns: 25 },
  );
});

test("many rows: the weight's gradient has the same bits for every number of threads", () => {
  const [tokens, hidden] = [1000, 100];
  const x = normalView(1, 'x', [tokens, hidden]);
  const weight = normalView(1, 'w', [hidden]);
  const dy = normalView(1, 'dy', [tokens, hidden]);
  const { inverseRms } = runOp(
    createHostBackend(),
    rmsNorm,
    { x, weight },
    { epsilon: 1e-6, weightOffset: 1 },
  );
  // blocks of 32, then 32 blocks: ≤ 64 roundings of sums of mixed sign
  const bound: Bound = () => 64 * EPSILON * Math.sqrt(tokens) * 36;
  checkKernel(rmsNormBackward, levels, {
    inputs: { x, weight, inverseRms, dy },
    attributes: { epsilon: 1e-6, weightOffset: 1, accumulate: false },
    given: { dWeight: normalView(1, 'dw', [hidden]) },
    bound,
  });
});

test('each head of a row is normalized by itself, forward and backward, as if the heads were rows', () => {
  const [tokens, heads, headDim] = [5, 3, 20];
  const x = normalView(1, 'x', [tokens, heads * headDim]);
  const weight = normalView(1, 'w', [headDim]);
  const dy = normalView(1, 'dy', [tokens, heads * headDim]);
  const attributes = { epsilon: 1e-5, weightOffset: 1 };
  const asRows = (view: typeof x): typeof x => reshaped(view, [tokens * heads, headDim]);
  const host = createHostBackend();
  const dWeight = normalView(1, 'dw', [headDim]);
  const { y, inverseRms } = runOp(host, rmsNorm, { x, weight }, attributes);
  const rows = runOp(host, rmsNorm, { x: asRows(x), weight }, attributes);
  expect([y.shape, hostData(y), hostData(inverseRms)]).toEqual([
    [tokens, heads * headDim],
    hostData(rows.y),
    hostData(rows.inverseRms),
  ]);
  const relative = relativeBound(forwardRoundings(headDim));
  checkKernel(rmsNorm, levels, {
    inputs: { x, weight },
    attributes,
    bound: (name, i, want) =>
      relative(name, i, want) +
      (name === 'y' ? EPSILON * 2 * Math.abs(hostData(x)[i]!) * Math.sqrt(headDim) : 0),
  });
  const largest = hostData(inverseRms).reduce((most, r) => Math.max(most, r), 0);
  checkKernel(rmsNormBackward, levels, {
    inputs: { x, weight, inverseRms, dy },
    attributes: { ...attributes, accumulate: false },
    given: { dWeight },
    bound: () => 40 * EPSILON * (36 * largest + 1296 * largest ** 3 + 6),
  });
});
