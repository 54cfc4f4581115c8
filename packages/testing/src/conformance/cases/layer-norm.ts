import { createHostBackend, hostData, runOp } from '@qdylora/contract';
import { layerNorm, layerNormBackward } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import { EPSILON, type Bound } from '../tolerance.ts';

const epsilon = 1e-3;
const sizes = {
  tokens: arbitrarySize(100),
  hidden: arbitrarySize(300).filter((hidden) => hidden > 0),
  seed: arbitrarySeed,
};

/**
 * |x − mean| ≤ 12, |w| ≤ 6, r ≤ 1/√ε ≈ 32. Sums of `hidden` numbers in ≥ 4 partial sums: the mean is off by ≤
 * (hidden/4 + 8)·ε·(offset + 6), and every difference by as much.
 */
function forwardBound(hidden: number, offset: number): Bound {
  const sums = hidden / 4 + 8;
  const mean = sums * EPSILON * (offset + 6);
  return (name, _, want) => {
    switch (name) {
      case 'mean':
        return mean;
      case 'inverseDeviation':
        return Math.abs(want) * ((sums + 8) * EPSILON + 2 * mean * 32);
      default:
        return 6 * 32 * mean * 2 + 6 * 12 * 32 * ((sums + 8) * EPSILON + 64 * mean);
    }
  };
}

/** Operands of the backward; mean and inverse deviation are the reference's. */
function backwardInputs(seed: number, tokens: number, hidden: number) {
  const x = normalView(seed, 'x', [tokens, hidden]);
  const weight = normalView(seed, 'w', [hidden]);
  const dy = normalView(seed, 'dy', [tokens, hidden]);
  const { mean, inverseDeviation } = runOp(
    createHostBackend(),
    layerNorm,
    { x, weight, bias: undefined },
    { epsilon },
  );
  return { x, weight, mean, inverseDeviation, dy };
}

/**
 * |g| = |dy·w| ≤ 36, |n| ≤ 12·r: every term of dx is at most r·36·(1 + 1 + (12·r)²), every sum has at most
 * max(hidden, tokens) roundings; dWeight sums |dy·n| ≤ 72·r.
 */
function backwardBound(inverseDeviation: ArrayLike<number>, tokens: number, hidden: number): Bound {
  const r = Array.from(inverseDeviation).reduce((most, value) => Math.max(most, value), 0);
  const roundings = Math.max(hidden, tokens) + 20;
  return () => roundings * EPSILON * (r * 36 * (2 + (12 * r) ** 2) + 72 * r + 6);
}

export const layerNormCases = [
  conformanceCase(layerNorm, {
    title: 'at every size, with and without a bias, around 0 and far from it',
    parameters: fc.record({ ...sizes, hasBias: fc.boolean(), offset: fc.constantFrom(0, 100) }),
    numRuns: 25,
    call: ({ tokens, hidden, seed, hasBias, offset }) => {
      const x = normalView(seed, 'x', [tokens, hidden]);
      for (let i = 0; i < tokens * hidden; i++) hostData(x)[i] += offset;
      return {
        inputs: {
          x,
          weight: normalView(seed, 'w', [hidden]),
          bias: hasBias ? normalView(seed, 'b', [hidden]) : undefined,
        },
        attributes: { epsilon },
        bound: forwardBound(hidden, offset),
      };
    },
  }),
  conformanceCase(layerNormBackward, {
    title: "with a new dx or one that is added to, with and without the weight's and the bias's gradients",
    parameters: fc.record({
      ...sizes,
      accumulate: fc.boolean(),
      wantsWeight: fc.boolean(),
      wantsBias: fc.boolean(),
    }),
    numRuns: 25,
    call: ({ tokens, hidden, seed, accumulate, wantsWeight, wantsBias }) => {
      const inputs = backwardInputs(seed, tokens, hidden);
      return {
        inputs,
        attributes: { accumulate },
        suppliedOutputs: {
          ...(accumulate && { dx: normalView(seed, 'dx', [tokens, hidden]) }),
          ...(wantsWeight && { dWeight: normalView(seed, 'dw', [hidden]) }),
          ...(wantsBias && { dBias: normalView(seed, 'db', [hidden]) }),
        },
        bound: backwardBound(hostData(inputs.inverseDeviation), tokens, hidden),
      };
    },
    edges: () => {
      const [tokens, hidden] = [1000, 100];
      return [
        {
          inputs: backwardInputs(1, tokens, hidden),
          attributes: { accumulate: false },
          suppliedOutputs: { dWeight: normalView(1, 'dw', [hidden]), dBias: normalView(1, 'db', [hidden]) },
          // blocks of 32, then 32 blocks: ≤ 64 roundings of sums of mixed sign
          bound: () => 64 * EPSILON * Math.sqrt(tokens) * 72,
        },
      ];
    },
  }),
];
