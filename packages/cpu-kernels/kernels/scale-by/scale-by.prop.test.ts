import { hostData } from '@qdylora/contract';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { scaleBy } from '@qdylora/tensor';
import { arbitrarySeed, arbitrarySize, checkKernel, normalView, relativeBound } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

test('scale-by agrees with its reference at every size, at every level', () => {
  fc.assert(
    fc.property(arbitrarySize(100_000), arbitrarySeed, (size, seed) => {
      checkKernel(scaleBy, levels, {
        inputs: { x: normalView(seed, 'x', [size]), factor: normalView(seed, 'factor', [1]) },
        attributes: {},
        bound: relativeBound(1),
      });
    }),
    { numRuns: 30 },
  );
});

test('a factor of NaN or an infinite x reaches y', () => {
  const x = normalView(1, 'x', [5]);
  hostData(x)[3] = Infinity;
  checkKernel(scaleBy, levels, {
    inputs: { x, factor: normalView(1, 'f', [1]) },
    attributes: {},
    bound: relativeBound(1),
  });
  const nan = normalView(1, 'f', [1], NaN);
  checkKernel(scaleBy, levels, { inputs: { x, factor: nan }, attributes: {}, bound: relativeBound(1) });
  expect(hostData(nan)[0]).toBeNaN();
});
