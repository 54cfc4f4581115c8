import { hostData } from '@qdylora/contract';
import fc from 'fast-check';
import { test } from 'vitest';
import { linear, linearInputGradient, linearWeightGradient, type ComputeDtype } from '@qdylora/tensor';
import {
  arbitrarySeed,
  arbitrarySize,
  checkKernel,
  magnitudeBound,
  normalBfloat16View,
  normalView,
} from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

/**
 * Roundings per term of a sum of n products: one for the product and one per addition; the reference rounds
 * its float64 sum once.
 */
const sumRoundings = (terms: number): number => terms + 3;

const arbitraryCase = fc.record({
  tokens: arbitrarySize(70),
  out: arbitrarySize(150),
  columns: arbitrarySize(300),
  seed: arbitrarySeed,
  computeDtype: fc.constantFrom<ComputeDtype>('f32', 'bf16'),
  weightDtype: fc.constantFrom('f32', 'bf16'),
  flag: fc.boolean(),
});

const weightOf = (dtype: string, seed: number, out: number, columns: number) =>
  dtype === 'bf16'
    ? normalBfloat16View(seed, 'weight', [out, columns])
    : normalView(seed, 'weight', [out, columns]);

test('linear agrees with its reference for every size, dtype and number of threads', () => {
  fc.assert(
    fc.property(arbitraryCase, ({ tokens, out, columns, seed, computeDtype, weightDtype, flag }) => {
      const inputs = {
        x: normalView(seed, 'x', [tokens, columns]),
        weight: weightOf(weightDtype, seed, out, columns),
        bias: flag ? normalView(seed, 'bias', [out]) : undefined,
      };
      checkKernel(linear, levels, {
        inputs,
        attributes: { computeDtype },
        bound: magnitudeBound(linear, inputs, { computeDtype }, sumRoundings(columns)),
      });
    }),
    { numRuns: 60 },
  );
});

test('the input gradient agrees with its reference, and adds where it is asked to', () => {
  fc.assert(
    fc.property(arbitraryCase, ({ tokens, out, columns, seed, computeDtype, weightDtype, flag }) => {
      const inputs = {
        dy: normalView(seed, 'dy', [tokens, out]),
        weight: weightOf(weightDtype, seed, out, columns),
      };
      const attributes = { computeDtype, accumulate: flag };
      const given = flag ? { dx: normalView(seed, 'dx', [tokens, columns]) } : {};
      checkKernel(linearInputGradient, levels, {
        inputs,
        attributes,
        given,
        bound: magnitudeBound(linearInputGradient, inputs, attributes, sumRoundings(out), given),
      });
    }),
    { numRuns: 60 },
  );
});

test('the weight gradient adds to what stands there', () => {
  fc.assert(
    fc.property(arbitraryCase, ({ tokens, out, columns, seed, computeDtype, flag }) => {
      const inputs = {
        x: normalView(seed, 'x', [tokens, columns]),
        dy: normalView(seed, 'dy', [tokens, out]),
      };
      const attributes = { computeDtype };
      const given = {
        dWeight: normalView(seed, 'dw', [out, columns]),
        ...(flag && { dBias: normalView(seed, 'db', [out]) }),
      };
      checkKernel(linearWeightGradient, levels, {
        inputs,
        attributes,
        given,
        bound: magnitudeBound(linearWeightGradient, inputs, attributes, sumRoundings(tokens), given),
      });
    }),
    { numRuns: 60 },
  );
});

test('several depth blocks, row blocks and panel groups agree with the reference', () => {
  for (const [tokens, out, columns] of [
    [200, 130, 1100],
    [5000, 17, 40],
    [3, 700, 1030],
  ] as const) {
    const inputs = { x: normalView(1, 'x', [tokens, columns]), weight: normalView(1, 'w', [out, columns]) };
    const attributes = { computeDtype: 'f32' as const };
    checkKernel(linear, levels, {
      inputs,
      attributes,
      bound: magnitudeBound(linear, inputs, attributes, sumRoundings(columns)),
    });
  }
});

test('an infinite or NaN element reaches exactly its own row', () => {
  const x = normalView(1, 'x', [20, 33]);
  const inputs = { x, weight: normalView(1, 'w', [40, 33]) };
  const attributes = { computeDtype: 'f32' as const };
  const bound = magnitudeBound(linear, inputs, attributes, sumRoundings(33));
  hostData(x)[3 * 33 + 5] = NaN;
  hostData(x)[7 * 33 + 32] = Infinity;
  checkKernel(linear, levels, { inputs, attributes, bound });
});
