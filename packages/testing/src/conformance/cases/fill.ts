import { fill } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySize } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import { relativeBound } from '../tolerance.ts';

export const fillCases = [
  conformanceCase(fill, {
    title: 'for every value, ±0 and NaN too',
    parameters: fc.record({
      size: arbitrarySize(100_000),
      value: fc.oneof(fc.constantFrom(0, -0, 1, NaN, Infinity), fc.double({ min: -1e30, max: 1e30 })),
    }),
    call: ({ size, value }) => ({
      inputs: {},
      attributes: { value, shape: [size] },
      bound: relativeBound(0),
    }),
  }),
];
