import { hostData } from '@qdylora/contract';
import { scaleBy } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import { relativeBound } from '../tolerance.ts';

/** One product. */
const bound = relativeBound(1);

export const scaleByCases = [
  conformanceCase(scaleBy, {
    title: 'at every size, with factors and entries that are not finite',
    parameters: fc.record({ size: arbitrarySize(100_000), seed: arbitrarySeed }),
    numRuns: 30,
    call: ({ size, seed }) => ({
      inputs: { x: normalView(seed, 'x', [size]), factor: normalView(seed, 'factor', [1]) },
      attributes: {},
      bound,
    }),
    edges: () => {
      const x = normalView(1, 'x', [5]);
      hostData(x)[3] = Infinity;
      const finite = normalView(1, 'f', [1]);
      const notANumber = normalView(1, 'f', [1], NaN);
      return [finite, notANumber].map((factor) => ({ inputs: { x, factor }, attributes: {}, bound }));
    },
  }),
];
