import { expect, test } from 'vitest';
import { hostData, f32View, runOp } from '@qdylora/contract';
import { softCap } from '@qdylora/tensor';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
test('no result passes the cap: infinite logits become it, NaN stays, and so does the sign of 0', () => {
  const x = f32View([7], [Infinity, -Infinity, 1e30, -1e30, 0, -0, NaN]);
  for (const { backends } of levels)
    expect(Array.from(hostData(runOp(backends[0], softCap, { x }, { cap: 30 }).y))).toEqual([
      30,
      -30,
      30,
      -30,
      0,
      -0,
      NaN,
    ]);
});
