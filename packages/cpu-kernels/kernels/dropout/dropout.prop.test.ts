import { expect, test } from 'vitest';
import { hostData, f32View, i32View, runOp } from '@qdylora/contract';
import { dropout } from '@qdylora/tensor';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

test('about the asked share is dropped', () => {
  const count = 100_000;
  const y = hostData(
    runOp(
      levels[0].backends[0],
      dropout,
      { x: f32View([count], new Float32Array(count).fill(1)), counter: i32View([1], [6]) },
      { probability: 0.25, key: 5 },
    ).y,
  );
  const dropped = y.filter((value) => value === 0).length / count;
  // five standard deviations
  expect(Math.abs(dropped - 0.25)).toBeLessThan(5 * Math.sqrt((0.25 * 0.75) / count));
});
