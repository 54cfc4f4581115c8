import { hostData } from '@qdylora/contract';
import { linear, linearInputGradient, linearWeightGradient, type ComputeDtype } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalBfloat16View, normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import { magnitudeBound } from '../tolerance.ts';

/**
 * Roundings per term of a sum of n products: one for the product and one per addition; the reference rounds
 * its float64 sum once.
 */
const sumRoundings = (terms: number): number => terms + 3;

const sizes = {
  tokens: arbitrarySize(70),
  out: arbitrarySize(150),
  columns: arbitrarySize(300),
  seed: arbitrarySeed,
  computeDtype: fc.constantFrom<ComputeDtype>('f32', 'bf16'),
};
const weightDtype = fc.constantFrom<ComputeDtype>('f32', 'bf16');

const weightOf = (dtype: ComputeDtype, seed: number, out: number, columns: number) =>
  (dtype === 'bf16' ? normalBfloat16View : normalView)(seed, 'weight', [out, columns]);

/** [tokens, out, columns] of several depth blocks, row blocks and panel groups. */
const BLOCKS = [
  [200, 130, 1100],
  [5000, 17, 40],
  [3, 700, 1030],
] as const;

export const linearCases = [
  conformanceCase(linear, {
    title: 'for every size and dtype; NaN and infinity reach exactly their own row',
    parameters: fc.record({ ...sizes, weightDtype, hasBias: fc.boolean() }),
    numRuns: 60,
    call: ({ tokens, out, columns, seed, computeDtype, weightDtype: dtype, hasBias }) => {
      const inputs = {
        x: normalView(seed, 'x', [tokens, columns]),
        weight: weightOf(dtype, seed, out, columns),
        bias: hasBias ? normalView(seed, 'bias', [out]) : undefined,
      };
      const attributes = { computeDtype };
      return {
        inputs,
        attributes,
        bound: magnitudeBound(linear, inputs, attributes, sumRoundings(columns)),
      };
    },
    *edges() {
      const attributes = { computeDtype: 'f32' as const };
      for (const [tokens, out, columns] of BLOCKS) {
        const inputs = {
          x: normalView(1, 'x', [tokens, columns]),
          weight: normalView(1, 'w', [out, columns]),
        };
        yield {
          inputs,
          attributes,
          bound: magnitudeBound(linear, inputs, attributes, sumRoundings(columns)),
        };
      }
      const x = normalView(1, 'x', [20, 33]);
      const inputs = { x, weight: normalView(1, 'w', [40, 33]) };
      const bound = magnitudeBound(linear, inputs, attributes, sumRoundings(33));
      hostData(x)[3 * 33 + 5] = NaN;
      hostData(x)[7 * 33 + 32] = Infinity;
      yield { inputs, attributes, bound };
    },
  }),
  conformanceCase(linearInputGradient, {
    title: 'for every size and dtype, new and added to dx',
    parameters: fc.record({ ...sizes, weightDtype, accumulate: fc.boolean() }),
    numRuns: 60,
    call: ({ tokens, out, columns, seed, computeDtype, weightDtype: dtype, accumulate }) => {
      const inputs = {
        dy: normalView(seed, 'dy', [tokens, out]),
        weight: weightOf(dtype, seed, out, columns),
      };
      const attributes = { computeDtype, accumulate };
      const suppliedOutputs = accumulate ? { dx: normalView(seed, 'dx', [tokens, columns]) } : {};
      return {
        inputs,
        attributes,
        suppliedOutputs,
        bound: magnitudeBound(linearInputGradient, inputs, attributes, sumRoundings(out), suppliedOutputs),
      };
    },
  }),
  conformanceCase(linearWeightGradient, {
    title: 'for every size and dtype, added to dWeight and dBias',
    parameters: fc.record({ ...sizes, hasBias: fc.boolean() }),
    numRuns: 60,
    call: ({ tokens, out, columns, seed, computeDtype, hasBias }) => {
      const inputs = {
        x: normalView(seed, 'x', [tokens, columns]),
        dy: normalView(seed, 'dy', [tokens, out]),
      };
      const attributes = { computeDtype };
      const suppliedOutputs = {
        dWeight: normalView(seed, 'dw', [out, columns]),
        ...(hasBias && { dBias: normalView(seed, 'db', [out]) }),
      };
      return {
        inputs,
        attributes,
        suppliedOutputs,
        bound: magnitudeBound(
          linearWeightGradient,
          inputs,
          attributes,
          sumRoundings(tokens),
          suppliedOutputs,
        ),
      };
    },
  }),
];
