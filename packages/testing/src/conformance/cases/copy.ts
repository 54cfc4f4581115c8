import { copy } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import { relativeBound } from '../tolerance.ts';

export const copyCases = [
  conformanceCase(copy, {
    title: 'at every size',
    parameters: fc.record({ size: arbitrarySize(100_000), seed: arbitrarySeed }),
    numRuns: 8,
    call: ({ size, seed }) => ({
      inputs: { x: normalView(seed, 'x', [size]) },
      attributes: {},
      bound: relativeBound(0),
    }),
  }),
];
