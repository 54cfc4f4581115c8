import type { Tokenizer } from '@qdylora/data';
import { expect, it } from 'vitest';
import { assertTokenizerFits } from './open-base.ts';

const tokenizerOf = (sizes: Pick<Tokenizer, 'vocabularySize' | 'baseVocabularySize'>): Tokenizer =>
  sizes as Tokenizer;

it('a tokenizer fits a model that has no embedding for an added token', () => {
  // Gemma 3 1B: <image_soft_token> is beyond the embedding
  assertTokenizerFits(
    tokenizerOf({ vocabularySize: 262_145, baseVocabularySize: 262_144 }),
    262_144,
    'model',
  );
  assertTokenizerFits(null, 1, 'model');
  expect(() =>
    assertTokenizerFits(tokenizerOf({ vocabularySize: 9, baseVocabularySize: 9 }), 8, 'model'),
  ).toThrow(/has 9 tokens, but the model has embeddings for 8 only/);
});
