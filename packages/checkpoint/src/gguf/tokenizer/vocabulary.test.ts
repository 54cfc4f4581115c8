import { expect, it } from 'vitest';
import { configReader } from '../../config/config-reader.ts';
import { readVocabulary } from './vocabulary.ts';

const [NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE] = [1, 2, 3, 4, 6];

const vocabularyOf = (tokens: Readonly<Record<string, number>>, name: string) =>
  readVocabulary(
    'model.gguf',
    configReader('model.gguf', {
      'general.name': name,
      'tokenizer.ggml.tokens': Object.keys(tokens),
      'tokenizer.ggml.token_type': Object.values(tokens),
    }),
  );

it.each([
  ['Phi-3 Mini 4k Instruct', ['</s>', '<|user|>', '<tool>']],
  ['models--microsoft--phi3', ['</s>', '<|user|>', '<tool>']],
  ['Phi 4', []],
])('of %s, these tokens take the white space after them: %j', (name, expected) => {
  const { addedTokens } = vocabularyOf(
    {
      '<unk>': UNKNOWN,
      '<s>': CONTROL,
      '</s>': CONTROL,
      '<|endoftext|>': CONTROL,
      '<|user|>': CONTROL,
      '<tool>': USER_DEFINED,
      a: NORMAL,
    },
    name,
  );
  expect(addedTokens.filter(({ rstrip }) => rstrip).map(({ content }) => content)).toEqual(expected);
});

it('has byte fallback if there are tokens of bytes', () => {
  const has = (type: number): boolean => vocabularyOf({ '<0x00>': type }, '').hasByteFallback;
  expect([has(BYTE), has(NORMAL)]).toEqual([true, false]);
});
