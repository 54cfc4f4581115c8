import { expect, test } from 'vitest';
import { hostData, f32View, i32View, runOp } from '@qdylora/contract';
import { rope, ropeTable } from '@qdylora/tensor';
import { EPSILON, normalView } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

test('turning there and back gives the vector again', () => {
  const backend = levels[0].backends[0];
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
    expect(Math.abs(hostData(back)[i] - hostData(x)[i])).toBeLessThan(12 * EPSILON * 8);
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
