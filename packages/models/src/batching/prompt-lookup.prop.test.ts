import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PLAIN_ATTENTION } from '../families/family-config.ts';
import { draftOf, tokensAlike } from './prompt-lookup.ts';

const layer = (heads: number, kvHeads: number) => ({
  ...PLAIN_ATTENTION,
  heads,
  kvHeads,
  headDim: 8,
  scale: 1,
});

test('a draft is what followed the last two tokens where they occurred last', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(3), { maxLength: 30 }), fc.integer({ min: 1, max: 5 }), (ids, count) => {
      const text = ids.join('');
      const at = ids.length < 3 ? -1 : text.lastIndexOf(text.slice(-2), ids.length - 3);
      const draft = draftOf(ids, count);
      expect(draft).toHaveLength(at < 0 ? 0 : count);
      const whole = [...ids, ...draft];
      for (const [i, id] of draft.entries()) expect(id).toBe(whole[at + 2 + i]);
    }),
  );
  expect(draftOf([1, 2, 3, 1, 2], 0)).toEqual([]);
});

test('as many tokens are computed alike as attention takes for few queries', () => {
  expect(tokensAlike([layer(9, 3)])).toBe(4);
  expect(tokensAlike([layer(8, 8), layer(32, 2)])).toBe(2);
  expect(tokensAlike([layer(71, 1)])).toBe(1);
});
