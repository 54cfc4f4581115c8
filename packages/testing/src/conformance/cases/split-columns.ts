import { createHostBackend, runOp } from '@qdylora/contract';
import { joinColumns, splitColumns, type SplitAttributes } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import type { Bound } from '../tolerance.ts';

/** Copies: no rounding. */
const exact: Bound = () => 0;

const parameters = fc.record({
  tokens: arbitrarySize(40),
  groups: fc.integer({ min: 1, max: 5 }),
  widths: fc.oneof(
    fc.tuple(arbitrarySize(90), arbitrarySize(40)),
    fc.tuple(arbitrarySize(90), arbitrarySize(40), arbitrarySize(40)),
  ),
  seed: arbitrarySeed,
});

/** x: [tokens, groups · sum of widths]. */
const fusedView = (seed: number, tokens: number, { groups, widths }: SplitAttributes) =>
  normalView(seed, 'x', [tokens, groups * widths.reduce((sum: number, width) => sum + width, 0)]);

export const splitColumnsCases = [
  conformanceCase(splitColumns, {
    title: 'for two and three parts of any width',
    parameters,
    numRuns: 30,
    call: ({ tokens, seed, ...attributes }) => ({
      inputs: { x: fusedView(seed, tokens, attributes) },
      attributes,
      bound: exact,
    }),
  }),
  conformanceCase(joinColumns, {
    title: 'for two and three parts of any width; parts that are left out are zeros',
    parameters,
    numRuns: 30,
    call: ({ tokens, seed, ...attributes }) => ({
      inputs: runOp(
        createHostBackend(),
        splitColumns,
        { x: fusedView(seed, tokens, attributes) },
        attributes,
      ),
      attributes: { ...attributes, tokens },
      bound: exact,
    }),
    edges: () => [
      {
        inputs: { first: undefined, second: normalView(1, 'k', [4, 6]), third: undefined },
        attributes: { groups: 3, widths: [17, 2, 5] as const, tokens: 4 },
        bound: exact,
      },
    ],
  }),
];
