import { hostData } from '@qdylora/contract';
import { sumOfSquares } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import { relativeBound } from '../tolerance.ts';

/** Sums in float64, in any order: the result may round to the neighbour. */
const bound = relativeBound(2);

export const sumOfSquaresCases = [
  conformanceCase(sumOfSquares, {
    title: 'at every size and scale; NaN and infinity reach the sum from any place',
    parameters: fc.record({
      size: arbitrarySize(100_000),
      seed: arbitrarySeed,
      scale: fc.constantFrom(1e-15, 1, 1e15),
    }),
    numRuns: 10,
    call: ({ size, seed, scale }) => ({
      inputs: { x: normalView(seed, 'x', [size], scale) },
      attributes: {},
      bound,
    }),
    *edges() {
      for (const at of [0, 8191, 8192, 20_000]) {
        for (const value of [NaN, Infinity, -Infinity]) {
          const x = normalView(1, 'x', [20_001]);
          hostData(x)[at] = value;
          yield { inputs: { x }, attributes: {}, bound };
        }
      }
    },
  }),
];
