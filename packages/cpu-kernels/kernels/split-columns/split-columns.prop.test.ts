import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostData, createHostBackend, runOp } from '@qdylora/contract';
import { joinColumns, splitColumns, type SplitAttributes } from '@qdylora/tensor';
import { arbitrarySeed, arbitrarySize, normalView } from '@qdylora/testing';

const arbitraryCase = fc.record({
  tokens: arbitrarySize(40),
  groups: fc.integer({ min: 1, max: 5 }),
  widths: fc.oneof(
    fc.tuple(arbitrarySize(90), arbitrarySize(40)),
    fc.tuple(arbitrarySize(90), arbitrarySize(40), arbitrarySize(40)),
  ),
  seed: arbitrarySeed,
});
const fusedView = (
  tokens: number,
  { groups, widths }: SplitAttributes,
  seed: number,
): ReturnType<typeof normalView> =>
  normalView(seed, 'x', [tokens, groups * widths.reduce((sum: number, w) => sum + w, 0)]);

test('joining the columns that were taken apart gives back the same bits', () => {
  fc.assert(
    fc.property(arbitraryCase, ({ tokens, seed, ...attributes }) => {
      const x = fusedView(tokens, attributes, seed);
      const parts = runOp(createHostBackend(), splitColumns, { x }, attributes);
      const joined = runOp(createHostBackend(), joinColumns, parts, { ...attributes, tokens }).x;
      expect(hostData(joined)).toEqual(hostData(x));
    }),
    { numRuns: 30 },
  );
});

test('a part that is left out is zeros in the join', () => {
  const attributes = { groups: 3, widths: [17, 2, 5] as const, tokens: 4 };
  const second = normalView(1, 'k', [4, 6]);
  const { x } = runOp(
    createHostBackend(),
    joinColumns,
    { first: undefined, second, third: undefined },
    attributes,
  );
  expect(Array.from(hostData(x)).filter((value) => value !== 0)).toEqual(Array.from(hostData(second)));
});

test('a group of a fused projection is its queries, then its key, then its value', () => {
  const x = normalView(1, 'x', [1, 8]);
  const at = (i: number): number => hostData(x)[i];
  const { first, second, third } = runOp(
    createHostBackend(),
    splitColumns,
    { x },
    { groups: 2, widths: [2, 1, 1] },
  );
  expect([first, second, third].map((part) => Array.from(hostData(part!)))).toEqual([
    [0, 1, 4, 5].map(at),
    [2, 6].map(at),
    [3, 7].map(at),
  ]);
});
