import { i32View } from '@qdylora/contract';
import { dropout } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import { relativeBound } from '../tolerance.ts';

const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });

export const dropoutCases = [
  conformanceCase(dropout, {
    title: "in which entries the contract's generator keeps",
    parameters: fc.record({
      size: arbitrarySize(80_000),
      seed: arbitrarySeed,
      key: uint32,
      counter: uint32,
      probability: fc.oneof(fc.constantFrom(0, 0.1, 0.5, 1), fc.double({ min: 0, max: 0.99, noNaN: true })),
    }),
    numRuns: 15,
    call: ({ size, seed, key, counter, probability }) => ({
      inputs: { x: normalView(seed, 'x', [size]), counter: i32View([1], [counter]) },
      attributes: { probability, key },
      bound: relativeBound(3), // the factor and the product round once each
    }),
  }),
];
