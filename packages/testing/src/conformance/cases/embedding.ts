import { i32View } from '@qdylora/contract';
import { embedding, embeddingBackward } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalFloatView, normalView } from '../arbitraries.ts';
import { conformanceCase, forHalves } from '../conformance-case.ts';
import { relativeBound } from '../tolerance.ts';

const parameters = fc.integer({ min: 1, max: 50 }).chain((rows) =>
  fc.record({
    rows: fc.constant(rows),
    ids: fc.array(fc.nat(rows - 1), { maxLength: 200 }),
    hidden: arbitrarySize(300),
    seed: arbitrarySeed,
    isHalf: fc.boolean(),
  }),
);

export const embeddingCases = [
  ...forHalves(({ half }) => [
    conformanceCase(embedding, {
      title: 'bit for bit, from a table of float32 or of two bytes',
      parameters,
      numRuns: 25,
      call: ({ rows, ids, hidden, seed, isHalf }) => ({
        inputs: {
          weight: normalFloatView(isHalf ? half : 'f32', seed, 'w', [rows, hidden]),
          ids: i32View([ids.length], ids),
        },
        attributes: {},
        bound: relativeBound(0),
      }),
    }),
  ]),
  conformanceCase(embeddingBackward, {
    title: 'bit for bit: gradients add up in token order, rounded after every token',
    parameters,
    numRuns: 25,
    call: ({ rows, ids, hidden, seed }) => ({
      inputs: { ids: i32View([ids.length], ids), dy: normalView(seed, 'dy', [ids.length, hidden]) },
      attributes: { rows },
      suppliedOutputs: { dWeight: normalView(seed, 'dw', [rows, hidden]) },
      bound: relativeBound(0),
    }),
  }),
];
