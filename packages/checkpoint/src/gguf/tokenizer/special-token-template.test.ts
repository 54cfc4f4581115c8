import { expect, it } from 'vitest';
import { configReader } from '../../config/config-reader.ts';
import { byteLevelBpe } from './byte-level-bpe.ts';
import { sentencePieceBpe } from './sentence-piece-bpe.ts';
import { sentencePieceUnigram } from './sentence-piece-unigram.ts';
import { readVocabulary } from './vocabulary.ts';

const BUILDERS = { byteLevelBpe, sentencePieceBpe, sentencePieceUnigram } as const;

/** The post-processor of a file of any kind, with these keys. */
const postProcessorOf = (kind: keyof typeof BUILDERS, keys: Readonly<Record<string, boolean>>): unknown => {
  const metadata = configReader('model.gguf', {
    'general.architecture': 'gpt2',
    'tokenizer.ggml.tokens': ['<s>', '</s>', 'a'],
    'tokenizer.ggml.token_type': [3, 3, 1],
    'tokenizer.ggml.merges': [],
    'tokenizer.ggml.scores': [0, 0, 0],
    'tokenizer.ggml.bos_token_id': 0,
    'tokenizer.ggml.eos_token_id': 1,
    ...keys,
  });
  return BUILDERS[kind]('model.gguf', metadata, readVocabulary('model.gguf', metadata)).post_processor;
};

const ADD_BOS = 'tokenizer.ggml.add_bos_token';
const ADD_EOS = 'tokenizer.ggml.add_eos_token';
const [A, B] = ['A', 'B'].map((id) => ({ Sequence: { id } }));
const [BEGIN, END] = ['<s>', '</s>'].map((id) => ({ SpecialToken: { id } }));

it.each([
  ['byteLevelBpe', {}, [A]],
  ['byteLevelBpe', { [ADD_EOS]: true }, [A, END]],
  ['byteLevelBpe', { [ADD_BOS]: true, [ADD_EOS]: true }, [BEGIN, A, END]],
  ['sentencePieceBpe', {}, [BEGIN, A]],
  ['sentencePieceBpe', { [ADD_EOS]: true }, [BEGIN, A, END]],
  ['sentencePieceBpe', { [ADD_BOS]: false, [ADD_EOS]: true }, [A, END]],
  ['sentencePieceUnigram', {}, [A, END]],
  ['sentencePieceUnigram', { [ADD_BOS]: true, [ADD_EOS]: false }, [BEGIN, A]],
] as const)('%s adds begin and end tokens as the file says: %j', (kind, keys, single) => {
  expect(postProcessorOf(kind, keys)).toMatchObject({ single });
});

it('each text of a pair has its begin and end token, whose ids are in the template', () => {
  expect(postProcessorOf('sentencePieceBpe', { [ADD_EOS]: true })).toMatchObject({
    pair: [BEGIN, A, END, BEGIN, B, END],
    special_tokens: { '<s>': { ids: [0] }, '</s>': { ids: [1] } },
  });
});
