import { i32View } from '@qdylora/contract';
import { appendRows } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import { relativeBound } from '../tolerance.ts';

export const appendRowsCases = [
  conformanceCase(appendRows, {
    title: 'in the rows before the end of the last segment; the others stay',
    parameters: fc.record({
      before: fc.nat(9),
      tokens: fc.nat(9),
      after: fc.nat(9),
      width: arbitrarySize(3000),
      seed: arbitrarySeed,
    }),
    call: ({ before, tokens, after, width, seed }) => {
      const rows = before + tokens + after;
      return {
        inputs: {
          x: normalView(seed, 'x', [tokens, width]),
          segments: i32View([3], [0, 0, before + tokens]),
        },
        attributes: { rows },
        suppliedOutputs: { y: normalView(seed, 'y', [rows, width]) },
        bound: relativeBound(0),
      };
    },
  }),
];
