import fc from 'fast-check';
import { expect, test } from 'vitest';
import { i32View, runOp } from '@qdylora/contract';
import { embedding, embeddingBackward } from '@qdylora/tensor';
import {
  arbitrarySeed,
  arbitrarySize,
  checkKernel,
  normalBfloat16View,
  normalView,
  relativeBound,
} from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
const cases = fc.integer({ min: 1, max: 50 }).chain((rows) =>
  fc.record({
    rows: fc.constant(rows),
    ids: fc.array(fc.nat(rows - 1), { maxLength: 200 }),
    hidden: arbitrarySize(300),
    seed: arbitrarySeed,
  }),
);

test('rows of a float32 or bfloat16 table are exact', () => {
  fc.assert(
    fc.property(cases, fc.boolean(), ({ rows, ids, hidden, seed }, bf16) => {
      const weight = bf16
        ? normalBfloat16View(seed, 'w', [rows, hidden])
        : normalView(seed, 'w', [rows, hidden]);
      checkKernel(embedding, levels, {
        inputs: { weight, ids: i32View([ids.length], ids) },
        attributes: {},
        bound: relativeBound(0),
      });
    }),
    { numRuns: 25 },
  );
});

test('the gradient adds up in token order, with the bits of the reference', () => {
  fc.assert(
    fc.property(cases, ({ rows, ids, hidden, seed }) => {
      const inputs = { ids: i32View([ids.length], ids), dy: normalView(seed, 'dy', [ids.length, hidden]) };
      checkKernel(embeddingBackward, levels, {
        inputs,
        attributes: { rows },
        given: { dWeight: normalView(seed, 'dw', [rows, hidden]) },
        bound: relativeBound(0),
      });
    }),
    { numRuns: 25 },
  );
});

test('an id outside the table is BAD_DATA and names its position', () => {
  const weight = normalView(1, 'w', [4, 8]);
  const backend = levels[0]!.backends[0]!;
  for (const bad of [4, -1])
    expect(() => runOp(backend, embedding, { weight, ids: i32View([3], [0, bad, 1]) }, {})).toThrow(
      /position 1, got (4|-1)/,
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
