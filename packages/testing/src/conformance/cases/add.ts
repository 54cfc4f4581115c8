import { add, addInto } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import { relativeBound } from '../tolerance.ts';

const parameters = fc.record({ size: arbitrarySize(100_000), seed: arbitrarySeed });
/** One sum: rounded as in the reference. */
const bound = relativeBound(0);

export const addCases = [
  conformanceCase(add, {
    title: 'at every size',
    parameters,
    numRuns: 8,
    call: ({ size, seed }) => ({
      inputs: { a: normalView(seed, 'a', [size]), b: normalView(seed, 'b', [size]) },
      attributes: {},
      bound,
    }),
  }),
  conformanceCase(addInto, {
    title: 'at every size',
    parameters,
    numRuns: 8,
    call: ({ size, seed }) => ({
      inputs: { x: normalView(seed, 'a', [size]) },
      suppliedOutputs: { sum: normalView(seed, 'b', [size]) },
      attributes: {},
      bound,
    }),
  }),
];
