import { createHostBackend, hostData, runOp, type ArrayView } from '@qdylora/contract';
import { residualNorm, rmsNorm, rmsNormBackward } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import { EPSILON, relativeBound, type Bound } from '../tolerance.ts';

const sizes = {
  tokens: arbitrarySize(100),
  hidden: arbitrarySize(300).filter((hidden) => hidden > 0),
  seed: arbitrarySeed,
};
const weightOffset = fc.constantFrom(0, 1);

/**
 * A sum of n positive squares in ≥ 4 partial sums: ≤ n/4 + 8 roundings, halved by the root; then one root,
 * one division, two products.
 */
const forwardRoundings = (hidden: number): number => (hidden / 4 + 8) / 2 + 6;

/** weight + 1 is rounded once at the size of its terms, not of the sum. */
function forwardBound(x: ArrayView<'f32'>, hidden: number): Bound {
  const relative = relativeBound(forwardRoundings(hidden));
  return (name, i, want) =>
    relative(name, i, want) + (name === 'y' ? EPSILON * 2 * Math.abs(hostData(x)[i]) * Math.sqrt(hidden) : 0);
}

/** |a + b| ≤ 12: its rounding and that of weight + 1 are relative to the terms, not to the sums. */
function residualBound(hidden: number): Bound {
  const relative = relativeBound(forwardRoundings(hidden) + 4);
  return (name, i, want) =>
    relative(name, i, want) + (name === 'y' ? 40 * EPSILON * 12 * Math.sqrt(hidden) : 0);
}

/** Operands of the backward; the inverse root mean squares are the reference's. */
function backwardInputs(
  seed: number,
  [tokens, width]: readonly [number, number],
  { headDim = width, epsilon = 1e-5, weightOffset: offset = 0 } = {},
) {
  const x = normalView(seed, 'x', [tokens, width]);
  const weight = normalView(seed, 'w', [headDim]);
  const attributes = { epsilon, weightOffset: offset };
  const { inverseRms } = runOp(createHostBackend(), rmsNorm, { x, weight }, attributes);
  return { x, weight, inverseRms, dy: normalView(seed, 'dy', [tokens, width]) };
}

/**
 * |x|, |dy|, |w| ≤ 6, so r·w·dy and r³·c·x are ≤ 36·r and 6³·r³·6; c sums `hidden` products, dWeight sums
 * `tokens` of |dy·x·r| ≤ 36·r.
 */
function backwardBound(inverseRms: ArrayView<'f32'>, roundings: number): Bound {
  const largest = hostData(inverseRms).reduce((most, r) => Math.max(most, r), 0);
  return () => roundings * EPSILON * (36 * largest + 1296 * largest ** 3 + 6);
}

/** Each head of a row is normalized by itself, x: [5, 3 · 20], weight: [20]. */
function headInputs() {
  return backwardInputs(1, [5, 60], { headDim: 20, weightOffset: 1 });
}

export const rmsNormCases = [
  conformanceCase(rmsNorm, {
    title: 'at every size, with and without an offset, for rows and for heads of rows',
    parameters: fc.record({ ...sizes, weightOffset }),
    numRuns: 25,
    call: ({ tokens, hidden, seed, weightOffset: offset }) => {
      const x = normalView(seed, 'x', [tokens, hidden]);
      return {
        inputs: { x, weight: normalView(seed, 'w', [hidden]) },
        attributes: { epsilon: 1e-5, weightOffset: offset },
        bound: forwardBound(x, hidden),
      };
    },
    edges: () => {
      const { x, weight } = headInputs();
      return [
        {
          inputs: { x, weight },
          attributes: { epsilon: 1e-5, weightOffset: 1 },
          bound: forwardBound(x, 20),
        },
      ];
    },
  }),
  conformanceCase(residualNorm, {
    title: 'at every size, with and without an offset',
    parameters: fc.record({ ...sizes, weightOffset }),
    numRuns: 12,
    call: ({ tokens, hidden, seed, weightOffset: offset }) => ({
      inputs: {
        a: normalView(seed, 'a', [tokens, hidden]),
        b: normalView(seed, 'b', [tokens, hidden]),
        weight: normalView(seed, 'w', [hidden]),
      },
      attributes: { epsilon: 1e-5, weightOffset: offset },
      bound: residualBound(hidden),
    }),
  }),
  conformanceCase(rmsNormBackward, {
    title: "with a new dx or one that is added to, with and without the weight's gradient",
    parameters: fc.record({ ...sizes, accumulate: fc.boolean(), wantsWeight: fc.boolean() }),
    numRuns: 25,
    call: ({ tokens, hidden, seed, accumulate, wantsWeight }) => {
      const inputs = backwardInputs(seed, [tokens, hidden]);
      return {
        inputs,
        attributes: { epsilon: 1e-5, weightOffset: 0, accumulate },
        suppliedOutputs: {
          ...(accumulate && { dx: normalView(seed, 'dx', [tokens, hidden]) }),
          ...(wantsWeight && { dWeight: normalView(seed, 'dw', [hidden]) }),
        },
        bound: backwardBound(inputs.inverseRms, Math.max(hidden, tokens) + 20),
      };
    },
    *edges() {
      const [tokens, hidden] = [1000, 100];
      yield {
        inputs: backwardInputs(1, [tokens, hidden], { epsilon: 1e-6, weightOffset: 1 }),
        attributes: { epsilon: 1e-6, weightOffset: 1, accumulate: false },
        suppliedOutputs: { dWeight: normalView(1, 'dw', [hidden]) },
        // blocks of 32, then 32 blocks: ≤ 64 roundings of sums of mixed sign
        bound: () => 64 * EPSILON * Math.sqrt(tokens) * 36,
      };
      const heads = headInputs();
      yield {
        inputs: heads,
        attributes: { epsilon: 1e-5, weightOffset: 1, accumulate: false },
        suppliedOutputs: { dWeight: normalView(1, 'dw', [20]) },
        bound: backwardBound(heads.inverseRms, 40),
      };
    },
  }),
];
