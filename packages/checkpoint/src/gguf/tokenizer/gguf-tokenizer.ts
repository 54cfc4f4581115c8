import { QdyloraError } from '@qdylora/contract';
import { printedName } from '../../bad-file.ts';
import type { ConfigReader } from '../../config/config-reader.ts';
import {
  lazyTokenizerFiles,
  type SpecialTokens,
  type TokenizerFiles,
} from '../../tokenizer/tokenizer-files.ts';
import { once } from '../../once.ts';
import { byteLevelBpe } from './byte-level-bpe.ts';
import { sentencePieceBpe } from './sentence-piece-bpe.ts';
import { sentencePieceUnigram } from './sentence-piece-unigram.ts';
import { readVocabulary } from './vocabulary.ts';

export const TOOL_TEMPLATE_NAME = 'tool_use';
/** The key of the template for conversations with tools. */
export const TOOL_TEMPLATE = `tokenizer.chat_template.${TOOL_TEMPLATE_NAME}`;

/** Builders by the value of `tokenizer.ggml.model`. */
const BUILDERS = { gpt2: byteLevelBpe, llama: sentencePieceBpe, t5: sentencePieceUnigram } as const;

/**
 * The tokenizer of a GGUF file in the form of Hugging Face's files. The metadata with all arrays is read on
 * first use.
 *
 * @throws QdyloraError UNSUPPORTED from `tokenizerJson`, if the kind of tokenizer or of text splitting is not
 * known.
 */
export function ggufTokenizerFiles(path: string, readMetadata: () => ConfigReader): TokenizerFiles {
  const metadata = once(readMetadata);
  const hasTokens = (): boolean => metadata().has('tokenizer.ggml.tokens');
  const vocabulary = once(() => readVocabulary(path, metadata()));
  const chatTemplate = once(() =>
    metadata().has('tokenizer.chat_template') ? metadata().string('tokenizer.chat_template') : null,
  );
  const specialTokens = once((): SpecialTokens => {
    if (!hasTokens()) return { bos: null, eos: null, pad: null };
    const { special } = vocabulary();
    return {
      bos: special('tokenizer.ggml.bos_token_id'),
      eos: special('tokenizer.ggml.eos_token_id'),
      pad: special('tokenizer.ggml.padding_token_id'),
    };
  });
  return lazyTokenizerFiles({
    chatTemplate,
    specialTokens,
    toolTemplate: () => (metadata().has(TOOL_TEMPLATE) ? metadata().string(TOOL_TEMPLATE) : null),
    tokenizerJson: () => (hasTokens() ? builderOf(path, metadata())(path, metadata(), vocabulary()) : null),
    tokenizerConfig: () => {
      const { bos, eos, pad } = specialTokens();
      return { bos_token: bos, eos_token: eos, pad_token: pad, chat_template: chatTemplate() };
    },
  });
}

function builderOf(path: string, metadata: ConfigReader): (typeof BUILDERS)[keyof typeof BUILDERS] {
  const kind = metadata.string('tokenizer.ggml.model');
  if (Object.hasOwn(BUILDERS, kind)) return BUILDERS[kind as keyof typeof BUILDERS];
  const supported = Object.keys(BUILDERS);
  throw new QdyloraError('UNSUPPORTED', {
    where: 'gguf',
    problem:
      `${path}: tokenizer.ggml.model is ${printedName(kind)}, which is not supported. ` +
      `Supported: ${supported.join(', ')}.`,
    nextStep: 'Use the safetensors folder of the same model, with its tokenizer.json.',
    details: { path, got: kind, supported },
  });
}
