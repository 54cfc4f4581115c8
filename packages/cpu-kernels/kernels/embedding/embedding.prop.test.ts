import { expect, test } from 'vitest';
import { i32View, runOp } from '@qdylora/contract';
import { embedding, embeddingBackward } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
test('an id outside the table is BAD_DATA and names its position', () => {
  const weight = normalView(1, 'w', [4, 8]);
  const backend = levels[0].backends[0];
  for (const bad of [4, -1])
    expect(() => runOp(backend, embedding, { weight, ids: i32View([3], [0, bad, 1]) }, {})).toThrow(
      /\(got (4|-1) at position 1\)/,
    );
  expect(() =>
    runOp(
      backend,
      embeddingBackward,
      { ids: i32View([1], [9]), dy: normalView(1, 'dy', [1, 8]) },
      { rows: 4 },
      { dWeight: weight },
    ),
  ).toThrow(/position 0/);
});
