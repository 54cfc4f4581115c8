import { hostData, f32View, runOp } from '@qdylora/contract';
import { expect, test } from 'vitest';
import { add } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

test('a sum written over one of its sides is the same bits', () => {
  const a = normalView(1, 'a', [5003]);
  const b = normalView(1, 'b', [5003]);
  for (const backend of levels.flatMap(({ backends }) => backends)) {
    const over = f32View([5003], hostData(b).slice());
    expect(hostData(runOp(backend, add, { a, b: over }, {}, { y: over }).y)).toEqual(
      hostData(runOp(backend, add, { a, b }, {}).y),
    );
  }
});
