import { QdyloraError } from '@qdylora/contract';
import { configReader } from '../config/config-reader.ts';
import { sentencePieceBpe } from '../gguf/tokenizer/sentence-piece-bpe.ts';
import { sentencePieceUnigram } from '../gguf/tokenizer/sentence-piece-unigram.ts';
import { readVocabulary } from '../gguf/tokenizer/vocabulary.ts';
import { readSentencePiece, type SentencePieceModel } from './read-sentence-piece.ts';

const UNIGRAM = 1;
const BPE = 2;

/**
 * Makes a `tokenizer.json` from a SentencePiece model file, for a folder without one. The same code builds it
 * for a GGUF file of the same tokenizer.
 *
 * @param config the folder's `tokenizer_config.json`, whose `add_bos_token` and `add_eos_token` say what is
 * added to a text; by default nothing, as in transformers 5
 * @throws QdyloraError MISSING_FILE, BAD_FILE; UNSUPPORTED that names a feature that would give other tokens
 */
export function sentencePieceTokenizer(
  path: string,
  config: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const model = readSentencePiece(path);
  const { pieces, modelType, bosId, eosId, padId, unkId, addDummyPrefix, removeExtraWhitespaces } = model;
  assertKnown(path, model);
  const id = (key: string, value: number): Record<string, number> =>
    value < 0 ? {} : { [`tokenizer.ggml.${key}_token_id`]: value };
  const metadata = configReader(path, {
    'tokenizer.ggml.tokens': pieces.map(({ piece }) => piece),
    'tokenizer.ggml.scores': pieces.map(({ score }) => score),
    'tokenizer.ggml.token_type': pieces.map(({ type }) => type),
    ...id('bos', bosId),
    ...id('eos', eosId),
    ...id('padding', padId),
    ...id('unknown', unkId),
    'tokenizer.ggml.add_space_prefix': addDummyPrefix,
    'tokenizer.ggml.remove_extra_whitespaces': removeExtraWhitespaces,
    'tokenizer.ggml.add_bos_token': config.add_bos_token === true,
    'tokenizer.ggml.add_eos_token': config.add_eos_token === true,
  });
  return (modelType === BPE ? sentencePieceBpe : sentencePieceUnigram)(
    path,
    metadata,
    readVocabulary(path, metadata, 'sentencepiece'),
  );
}

function assertKnown(
  path: string,
  {
    modelType,
    charsmapBytes,
    treatWhitespaceAsSuffix,
    escapeWhitespaces,
    removeExtraWhitespaces,
  }: SentencePieceModel,
): void {
  const refuse = (expected: string, got: string): never => {
    throw new QdyloraError('UNSUPPORTED', {
      where: 'sentencepiece',
      problem: `${path}: the model must have ${expected} (got ${got})`,
      details: { path },
      nextStep:
        'Write a tokenizer.json beside it with transformers: ' +
        'AutoTokenizer.from_pretrained(folder).save_pretrained(folder).',
    });
  };
  if (modelType !== BPE && modelType !== UNIGRAM)
    refuse(`a model of the type UNIGRAM (${UNIGRAM}) or BPE (${BPE})`, String(modelType));
  if (charsmapBytes > 0)
    refuse(
      'pieces of the text as it is',
      `a map of characters that the text goes through first (precompiled_charsmap, ${charsmapBytes} bytes)`,
    );
  if (treatWhitespaceAsSuffix || !escapeWhitespaces)
    refuse(
      'spaces as ▁ in front of words',
      'treat_whitespace_as_suffix or escape_whitespaces of another kind',
    );
  if (modelType === BPE && removeExtraWhitespaces)
    refuse('BPE over the text as it is', 'remove_extra_whitespaces');
}
