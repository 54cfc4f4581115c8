import fc from 'fast-check';
import { test } from 'vitest';
import { fill } from '@qdylora/tensor';
import { arbitrarySize, checkKernel, relativeBound } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

test('fill writes the value, rounded to float32, into every entry', () => {
  fc.assert(
    fc.property(
      arbitrarySize(100_000),
      fc.oneof(fc.constantFrom(0, -0, 1, NaN, Infinity), fc.double({ min: -1e30, max: 1e30 })),
      (size, value) => {
        checkKernel(fill, levels, {
          inputs: {},
          attributes: { value, shape: [size] },
          bound: relativeBound(0),
        });
      },
    ),
    { numRuns: 20 },
  );
});
