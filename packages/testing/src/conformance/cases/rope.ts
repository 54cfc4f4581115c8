import { f32View, i32View } from '@qdylora/contract';
import { rope, ropeTable } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import { EPSILON, relativeBound } from '../tolerance.ts';

export const ropeCases = [
  conformanceCase(rope, {
    title: 'in both directions, with entries that are not rotated',
    parameters: fc.record({
      tokens: arbitrarySize(200),
      heads: fc.integer({ min: 1, max: 5 }),
      pairs: fc.integer({ min: 1, max: 40 }),
      unrotated: fc.integer({ min: 0, max: 5 }),
      inverse: fc.boolean(),
      seed: arbitrarySeed,
    }),
    numRuns: 25,
    call: ({ tokens, heads, pairs, unrotated, inverse, seed }) => {
      const headDim = 2 * pairs + unrotated;
      return {
        inputs: {
          x: normalView(seed, 'x', [tokens, heads * headDim]),
          cos: normalView(seed, 'cos', [tokens, pairs]),
          sin: normalView(seed, 'sin', [tokens, pairs]),
        },
        attributes: { headDim, inverse },
        bound: () => 3 * EPSILON * 2 * 36, // two products and a sum of numbers ≤ 6
      };
    },
  }),
  conformanceCase(ropeTable, {
    title: 'to one rounding, also at large positions',
    parameters: fc.record({
      positions: fc.array(
        fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 0, max: 1_000_000 })),
        { maxLength: 40 },
      ),
      pairs: fc.integer({ min: 1, max: 40 }),
    }),
    numRuns: 25,
    call: ({ positions, pairs }) => ({
      inputs: {
        positions: i32View([positions.length], positions),
        inverseFrequencies: f32View(
          [pairs],
          Float32Array.from({ length: pairs }, (_, pair) => 1e6 ** (-pair / pairs)),
        ),
      },
      attributes: { scale: 1.25 },
      // one rounding to float32; float64's own error of a large angle's sine is far below 1e-12
      bound: (name, i, want) => relativeBound(2)(name, i, want) + 1e-12,
    }),
  }),
];
