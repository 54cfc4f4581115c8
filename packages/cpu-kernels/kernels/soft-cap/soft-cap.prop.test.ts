import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostData, createHostBackend, f32View, runOp } from '@qdylora/contract';
import { softCap, softCapBackward } from '@qdylora/tensor';
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
const arbitraryCase = fc.record({
  size: arbitrarySize(70_000),
  seed: arbitrarySeed,
  cap: fc.constantFrom(1, 4, 30, 50),
  scale: fc.constantFrom(0.01, 1, 100),
});

test('soft-cap agrees with its reference at every size', () => {
  fc.assert(
    fc.property(arbitraryCase, ({ size, seed, cap, scale }) => {
      checkKernel(softCap, levels, {
        inputs: { x: normalView(seed, 'x', [size], scale) },
        attributes: { cap },
        bound: relativeBound(8),
      }); // a quotient, a tanh (≤ 3 ulp), a product
    }),
    { numRuns: 10 },
  );
});

test('its gradient agrees: 1 − t² is off by the rounding of its terms, not of itself', () => {
  fc.assert(
    fc.property(arbitraryCase, ({ size, seed, cap, scale }) => {
      const { y } = runOp(createHostBackend(), softCap, { x: normalView(seed, 'x', [size], scale) }, { cap });
      const dy = normalView(seed, 'dy', [size]);
      const bound: Bound = (_, i) => 8 * EPSILON * Math.abs(hostData(dy)[i]!) + 1e-38;
      checkKernel(softCapBackward, levels, { inputs: { y, dy }, attributes: { cap }, bound });
    }),
    { numRuns: 10 },
  );
});

test('infinite and NaN logits behave as in the reference, and no result passes the cap', () => {
  const x = f32View([7], [Infinity, -Infinity, 1e30, -1e30, 0, -0, NaN]);
  checkKernel(softCap, levels, { inputs: { x }, attributes: { cap: 30 }, bound: relativeBound(8) });
  for (const { backends } of levels)
    expect(Array.from(hostData(runOp(backends[0]!, softCap, { x }, { cap: 30 }).y))).toEqual([
      30,
      -30,
      30,
      -30,
      0,
      -0,
      NaN,
    ]);
});
