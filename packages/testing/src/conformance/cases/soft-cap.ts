import { createHostBackend, f32View, hostData, runOp } from '@qdylora/contract';
import { softCap, softCapBackward } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import { EPSILON, relativeBound } from '../tolerance.ts';

const parameters = fc.record({
  size: arbitrarySize(70_000),
  seed: arbitrarySeed,
  cap: fc.constantFrom(1, 4, 30, 50),
  scale: fc.constantFrom(0.01, 1, 100),
});

/** A quotient, a tanh (≤ 3 ulp) and a product. */
const bound = relativeBound(8);

export const softCapCases = [
  conformanceCase(softCap, {
    title: 'at every size, for ±0, infinite logits and NaN',
    parameters,
    numRuns: 10,
    call: ({ size, seed, cap, scale }) => ({
      inputs: { x: normalView(seed, 'x', [size], scale) },
      attributes: { cap },
      bound,
    }),
    edges: () => [
      {
        inputs: { x: f32View([7], [Infinity, -Infinity, 1e30, -1e30, 0, -0, NaN]) },
        attributes: { cap: 30 },
        bound,
      },
    ],
  }),
  conformanceCase(softCapBackward, {
    title: 'at every size; 1 − t² is off by the rounding of its terms, not of itself',
    parameters,
    numRuns: 10,
    call: ({ size, seed, cap, scale }) => {
      const x = normalView(seed, 'x', [size], scale);
      const { y } = runOp(createHostBackend(), softCap, { x }, { cap });
      const dy = normalView(seed, 'dy', [size]);
      return {
        inputs: { y, dy },
        attributes: { cap },
        bound: (_, i) => 8 * EPSILON * Math.abs(hostData(dy)[i]) + 1e-38,
      };
    },
  }),
];
