import { expect, it } from 'vitest';
import { withDeclaredTokens } from './with-declared-tokens.ts';

const bpe = { model: { type: 'BPE', vocab: { a: 0, b: 1 } }, added_tokens: [{ id: 2, content: '<s>', special: true }] };
const tokensOf = (json: unknown): unknown[] => (json as typeof bpe).added_tokens.map(({ id, content, special }) => [id, content, special]);

it('tokens that other files of a folder name are added under their ids, and none that is there already', () => {
  const decoder = { 4: { content: '<|end|>', special: true, lstrip: false }, 2: { content: '<s>', special: false }, 1: { content: 'other', special: true } };
  expect(tokensOf(withDeclaredTokens(bpe, decoder, { '<|start|>': 3, a: 9, '<|end|>': 5 }))).toEqual([[2, '<s>', true], [3, '<|start|>', false], [4, '<|end|>', true]]);
  expect(tokensOf(withDeclaredTokens({ model: { type: 'Unigram', vocab: [['a', 0], ['b', -1]] } }, { 1: { content: 'x' }, 2: { content: 'b' }, 3: { content: 'y' } }, null))).toEqual([[3, 'y', false]]);
});

it('a tokenizer without such, or of another shape, stays as it is', () => {
  for (const json of [bpe, null, [], 'x', { model: null }]) for (const odd of [undefined, null, [], 'x', {}, { 1: 'x' }]) expect(withDeclaredTokens(json, odd, null)).toBe(json);
});
