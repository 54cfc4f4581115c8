import fc from 'fast-check';
import { hostData, f32View, runOp } from '@qdylora/contract';
import { expect, test } from 'vitest';
import { add, addInto } from '@qdylora/tensor';
import { arbitrarySeed, arbitrarySize, checkKernel, normalView, relativeBound } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

test('add and add-into give the rounded sum at every size: the one rounding of the reference', () => {
  fc.assert(
    fc.property(arbitrarySize(100_000), arbitrarySeed, (size, seed) => {
      const a = normalView(seed, 'a', [size]);
      const b = normalView(seed, 'b', [size]);
      checkKernel(add, levels, { inputs: { a, b }, attributes: {}, bound: relativeBound(0) });
      checkKernel(addInto, levels, {
        inputs: { x: a },
        given: { sum: b },
        attributes: {},
        bound: relativeBound(0),
      });
    }),
    { numRuns: 8 },
  );
});

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
