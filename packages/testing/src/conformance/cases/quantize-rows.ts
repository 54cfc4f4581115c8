import { hostData } from '@qdylora/contract';
import { quantizeRows } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalHalfView, normalView } from '../arbitraries.ts';
import { conformanceCase, forHalves } from '../conformance-case.ts';
import { relativeBound } from '../tolerance.ts';

/** Every step is rounded as in the reference. */
const bound = relativeBound(0);

export const quantizeRowsCases = forHalves(({ half }) => [
  conformanceCase(quantizeRows, {
    title: 'bit for bit, for rows of zeros, of subnormal scale and with numbers that are not finite too',
    parameters: fc.record({
      rows: arbitrarySize(40),
      cols: arbitrarySize(200),
      seed: arbitrarySeed,
      isHalf: fc.boolean(),
      scale: fc.constantFrom(1e-25, 1, 1e30),
    }),
    numRuns: 60,
    call: ({ rows, cols, seed, isHalf, scale }) => ({
      inputs: {
        weight: isHalf
          ? normalHalfView(half, seed, 'w', [rows, cols])
          : normalView(seed, 'w', [rows, cols], scale),
      },
      attributes: {},
      bound,
    }),
    *edges() {
      if (half === 'f16') return;
      for (const odd of [0, NaN, Infinity, -Infinity, 1e-40, 2 ** -99]) {
        const weight = normalView(3, 'w', [4, 37]);
        hostData(weight).fill(0, 37, 74);
        hostData(weight)[37 + 20] = odd;
        yield { inputs: { weight }, attributes: {}, bound };
      }
    },
  }),
]);
