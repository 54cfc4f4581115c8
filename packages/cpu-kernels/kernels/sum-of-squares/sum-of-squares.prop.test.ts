import { hostData } from '@qdylora/contract';
import fc from 'fast-check';
import { test } from 'vitest';
import { sumOfSquares } from '@qdylora/tensor';
import { arbitrarySeed, arbitrarySize, checkKernel, normalView, relativeBound } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

test('the sum of squares is exact to one rounding at every size and scale', () => {
  fc.assert(
    fc.property(
      arbitrarySize(100_000),
      arbitrarySeed,
      fc.constantFrom(1e-15, 1, 1e15),
      (size, seed, scale) => {
        checkKernel(sumOfSquares, levels, {
          inputs: { x: normalView(seed, 'x', [size], scale) },
          attributes: {},
          bound: relativeBound(2),
        }); // float64 sums may round to the neighbour
      },
    ),
    { numRuns: 10 },
  );
});

test('NaN and infinity reach the sum from any place', () => {
  for (const at of [0, 8191, 8192, 20_000]) {
    for (const value of [NaN, Infinity, -Infinity]) {
      const x = normalView(1, 'x', [20_001]);
      hostData(x)[at] = value;
      checkKernel(sumOfSquares, levels, { inputs: { x }, attributes: {}, bound: relativeBound(2) });
    }
  }
});
