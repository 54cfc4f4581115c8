import { expect, it } from 'vitest';
import { withDeclaredTokens } from './with-declared-tokens.ts';

const bpe = {
  model: { type: 'BPE', vocab: { a: 0, b: 1 } },
  added_tokens: [{ id: 2, content: '<s>', special: true }],
};
const tokensOf = (json: unknown): unknown[] =>
  (json as typeof bpe).added_tokens.map(({ id, content, special }) => [id, content, special]);

it('tokens that other files of a folder name are added under their ids, unless they exist', () => {
  const decoder = {
    4: { content: '<|end|>', special: true, lstrip: false },
    2: { content: '<s>', special: false },
    1: { content: 'other', special: true },
  };
  expect(
    tokensOf(withDeclaredTokens(bpe, { byId: decoder, byContent: { '<|start|>': 3, a: 9, '<|end|>': 5 } })),
  ).toEqual([
    [2, '<s>', true],
    [3, '<|start|>', false],
    [4, '<|end|>', true],
  ]);
  expect(
    tokensOf(
      withDeclaredTokens(
        {
          model: {
            type: 'Unigram',
            vocab: [
              ['a', 0],
              ['b', -1],
            ],
          },
        },
        { byId: { 1: { content: 'x' }, 2: { content: 'b' }, 3: { content: 'y' } } },
      ),
    ),
  ).toEqual([[3, 'y', false]]);
});

it('a tokenizer without such, or of another shape, stays as it is', () => {
  for (const json of [bpe, null, [], 'x', { model: null }])
    for (const odd of [undefined, null, [], '', {}, { 1: 'x' }])
      expect(withDeclaredTokens(json, { byId: odd, named: [odd], additional: [odd, 7] })).toBe(json);
});

it(
  'special tokens of the vocabulary are never split; those of no vocabulary get the next ids, named ones ' +
    'first, where additional ones are among them',
  () => {
    expect(
      tokensOf(
        withDeclaredTokens(bpe, { named: [null, 'a', { content: '<s>' }, '[PAD]'], additional: ['b'] }),
      ),
    ).toEqual([
      [2, '<s>', true],
      [0, 'a', true],
      [1, 'b', true],
    ]);
    const all = withDeclaredTokens(bpe, {
      byId: { 7: { content: '<x>' } },
      named: ['[PAD]', 'a'],
      additional: ['<y>', { content: '<z>', lstrip: true, __type: 'AddedToken' }, '<y>'],
    });
    expect(tokensOf(all)).toEqual([
      [2, '<s>', true],
      [7, '<x>', false],
      [8, '[PAD]', true],
      [0, 'a', true],
      [9, '<y>', true],
      [10, '<z>', true],
    ]);
    expect((all as { added_tokens: unknown[] }).added_tokens.at(-1)).toEqual({
      id: 10,
      content: '<z>',
      single_word: false,
      lstrip: true,
      rstrip: false,
      normalized: false,
      special: true,
    });
  },
);
