import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostData, f32View, i32View, runOp } from '@qdylora/contract';
import { rope, ropeTable } from '@qdylora/tensor';
import {
  arbitrarySeed,
  arbitrarySize,
  checkKernel,
  EPSILON,
  normalView,
  relativeBound,
  type Bound,
} from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

test('rope turns as the reference does, both ways, with entries that pass', () => {
  fc.assert(
    fc.property(
      arbitrarySize(200),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 0, max: 5 }),
      fc.boolean(),
      arbitrarySeed,
      (tokens, heads, pairs, rest, inverse, seed) => {
        const headDim = 2 * pairs + rest;
        const x = normalView(seed, 'x', [tokens, heads * headDim]);
        const inputs = {
          x,
          cos: normalView(seed, 'cos', [tokens, pairs]),
          sin: normalView(seed, 'sin', [tokens, pairs]),
        };
        const bound: Bound = () => 3 * EPSILON * 2 * 36; // two products and a sum of numbers ≤ 6
        checkKernel(rope, levels, { inputs, attributes: { headDim, inverse }, bound });
      },
    ),
    { numRuns: 25 },
  );
});

test('the table of angles is exact to one rounding, also at large positions', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 0, max: 1_000_000 })), {
        maxLength: 40,
      }),
      fc.integer({ min: 1, max: 40 }),
      (positions, pairs) => {
        const inverseFrequencies = f32View(
          [pairs],
          Float32Array.from({ length: pairs }, (_, p) => 1e6 ** (-p / pairs)),
        );
        // one rounding to float32; float64's own error of a large angle's sine is far below 1e-12
        checkKernel(ropeTable, levels, {
          inputs: { positions: i32View([positions.length], positions), inverseFrequencies },
          attributes: { scale: 1.25 },
          bound: (name, i, want) => relativeBound(2)(name, i, want) + 1e-12,
        });
      },
    ),
    { numRuns: 25 },
  );
});

test('turning there and back gives the vector again', () => {
  const backend = levels[0]!.backends[0]!;
  const tokens = 7;
  const x = normalView(3, 'x', [tokens, 64]);
  const { cos, sin } = runOp(
    backend,
    ropeTable,
    {
      positions: i32View([tokens], [0, 1, 2, 3, 50, 51, 99999]),
      inverseFrequencies: f32View(
        [16],
        Float32Array.from({ length: 16 }, (_, p) => 1e4 ** (-p / 16)),
      ),
    },
    { scale: 1 },
  );
  const there = runOp(backend, rope, { x, cos, sin }, { headDim: 32, inverse: false }).y;
  const back = runOp(backend, rope, { x: there, cos, sin }, { headDim: 32, inverse: true }).y;
  for (let i = 0; i < hostData(x).length; i++)
    // four products and sums each way of numbers ≤ 8
    expect(Math.abs(hostData(back)[i]! - hostData(x)[i]!)).toBeLessThan(12 * EPSILON * 8);
});

test('turning in place gives the same bits', () => {
  for (const pairs of [3, 8, 37]) {
    const headDim = 2 * pairs + 1;
    const x = normalView(1, 'x', [9, 2 * headDim]);
    const cos = normalView(1, 'cos', [9, pairs]);
    const sin = normalView(1, 'sin', [9, pairs]);
    for (const backend of levels.flatMap(({ backends }) => backends)) {
      const over = f32View(x.shape, hostData(x).slice());
      const apart = runOp(backend, rope, { x, cos, sin }, { headDim, inverse: false }).y;
      expect(
        hostData(runOp(backend, rope, { x: over, cos, sin }, { headDim, inverse: false }, { y: over }).y),
      ).toEqual(hostData(apart));
    }
  }
});
