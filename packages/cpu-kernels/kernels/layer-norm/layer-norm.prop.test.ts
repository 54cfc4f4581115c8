import fc from 'fast-check';
import { test } from 'vitest';
import { hostData, createHostBackend, runOp } from '@qdylora/contract';
import { layerNorm, layerNormBackward } from '@qdylora/tensor';
import { arbitrarySeed, arbitrarySize, checkKernel, EPSILON, normalView, type Bound } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
const sizes = fc.tuple(
  arbitrarySize(100),
  arbitrarySize(300).filter((hidden) => hidden > 0),
);
const epsilon = 1e-3;

test('layer-norm agrees with its reference at every size, with and without a bias, near 0 and far', () => {
  fc.assert(
    fc.property(
      sizes,
      arbitrarySeed,
      fc.boolean(),
      fc.constantFrom(0, 100),
      ([tokens, hidden], seed, withBias, far) => {
        const x = normalView(seed, 'x', [tokens, hidden]);
        const weight = normalView(seed, 'w', [hidden]);
        for (let i = 0; i < tokens * hidden; i++) hostData(x)[i]! += far;
        // |x − mean| ≤ 12, |w| ≤ 6, r ≤ 1/√ε ≈ 32. Sums of `hidden` numbers in ≥ 4 partial sums: the mean is
        // off by ≤ (hidden/4 + 8)·ε·(far + 6), and every difference by as much.
        const sums = hidden / 4 + 8;
        const mean = sums * EPSILON * (far + 6);
        const bound: Bound = (name, _, want) =>
          name === 'mean'
            ? mean
            : name === 'inverseDeviation'
              ? Math.abs(want) * ((sums + 8) * EPSILON + 2 * mean * 32)
              : 6 * 32 * mean * 2 + 6 * 12 * 32 * ((sums + 8) * EPSILON + 64 * mean);
        checkKernel(layerNorm, levels, {
          inputs: { x, weight, bias: withBias ? normalView(seed, 'b', [hidden]) : undefined },
          attributes: { epsilon },
          bound,
        });
      },
    ),
    { numRuns: 25 },
  );
});

test("its gradient agrees: new, added to dx, with and without the weight's and the bias's", () => {
  fc.assert(
    fc.property(
      sizes,
      arbitrarySeed,
      fc.record({ accumulate: fc.boolean(), withWeight: fc.boolean(), withBias: fc.boolean() }),
      ([tokens, hidden], seed, { accumulate, withWeight, withBias }) => {
        const x = normalView(seed, 'x', [tokens, hidden]);
        const weight = normalView(seed, 'w', [hidden]);
        const dy = normalView(seed, 'dy', [tokens, hidden]);
        const { mean, inverseDeviation } = runOp(
          createHostBackend(),
          layerNorm,
          { x, weight, bias: undefined },
          { epsilon },
        );
        const given = {
          ...(accumulate && { dx: normalView(seed, 'dx', [tokens, hidden]) }),
          ...(withWeight && { dWeight: normalView(seed, 'dw', [hidden]) }),
          ...(withBias && { dBias: normalView(seed, 'db', [hidden]) }),
        };
        // |g| = |dy·w| ≤ 36, |n| ≤ 12·r: every term of dx is at most r·36·(1 + 1 + (12·r)²), every sum has
        // at most max(hidden, tokens) roundings; dWeight sums |dy·n| ≤ 72·r.
        const r = hostData(inverseDeviation).reduce((most, value) => Math.max(most, value), 0);
        const roundings = Math.max(hidden, tokens) + 20;
        const bound: Bound = () => roundings * EPSILON * (r * 36 * (2 + (12 * r) ** 2) + 72 * r + 6);
        checkKernel(layerNormBackward, levels, {
          inputs: { x, weight, mean, inverseDeviation, dy },
          attributes: { accumulate },
          given,
          bound,
        });
      },
    ),
    { numRuns: 25 },
  );
});

test("many rows: the parameters' gradients have the same bits for every number of threads", () => {
  const [tokens, hidden] = [1000, 100];
  const x = normalView(1, 'x', [tokens, hidden]);
  const weight = normalView(1, 'w', [hidden]);
  const dy = normalView(1, 'dy', [tokens, hidden]);
  const { mean, inverseDeviation } = runOp(
    createHostBackend(),
    layerNorm,
    { x, weight, bias: undefined },
    { epsilon },
  );
  // blocks of 32, then 32 blocks: ≤ 64 roundings of sums of mixed sign
  const bound: Bound = () => 64 * EPSILON * Math.sqrt(tokens) * 72;
  checkKernel(layerNormBackward, levels, {
    inputs: { x, weight, mean, inverseDeviation, dy },
    attributes: { accumulate: false },
    given: { dWeight: normalView(1, 'dw', [hidden]), dBias: normalView(1, 'db', [hidden]) },
    bound,
  });
});
