import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostData, f32View, runOp } from '@qdylora/contract';
import { dropout } from '@qdylora/tensor';
import { arbitrarySeed, arbitrarySize, checkKernel, normalView, relativeBound } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });

test(
  "dropout keeps exactly the entries that the contract's generator keeps; the factor and the product " +
    'round once each',
  () => {
    fc.assert(
      fc.property(
        arbitrarySize(80_000),
        arbitrarySeed,
        uint32,
        uint32,
        fc.oneof(fc.constantFrom(0, 0.1, 0.5, 1), fc.double({ min: 0, max: 0.99, noNaN: true })),
        (size, seed, key, counter, probability) => {
          checkKernel(dropout, levels, {
            inputs: { x: normalView(seed, 'x', [size]) },
            attributes: { probability, key, counter },
            bound: relativeBound(3),
          });
        },
      ),
      { numRuns: 15 },
    );
  },
);

test('about the asked share is dropped', () => {
  const count = 100_000;
  const y = hostData(
    runOp(
      levels[0]!.backends[0]!,
      dropout,
      { x: f32View([count], new Float32Array(count).fill(1)) },
      { probability: 0.25, key: 5, counter: 6 },
    ).y,
  );
  const dropped = y.filter((value) => value === 0).length / count;
  // five standard deviations
  expect(Math.abs(dropped - 0.25)).toBeLessThan(5 * Math.sqrt((0.25 * 0.75) / count));
});
