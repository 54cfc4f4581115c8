import fc from 'fast-check';
import { test } from 'vitest';
import { copy } from '@qdylora/tensor';
import { arbitrarySeed, arbitrarySize, checkKernel, normalView, relativeBound } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

test('copy gives the same numbers at every size', () => {
  fc.assert(
    fc.property(arbitrarySize(100_000), arbitrarySeed, (size, seed) => {
      checkKernel(copy, levels, {
        inputs: { x: normalView(seed, 'x', [size]) },
        attributes: {},
        bound: relativeBound(0),
      });
    }),
    { numRuns: 8 },
  );
});
