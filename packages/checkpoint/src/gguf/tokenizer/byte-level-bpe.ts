import { badFile, printedName } from '../../bad-file.ts';
import type { ConfigReader } from '../../config/config-reader.ts';
import { specialTokenTemplate } from './special-token-template.ts';
import { preTokenizerOf, usualPreTokenizer } from './pre-tokenizers.ts';
import type { GgufVocabulary } from './vocabulary.ts';

/**
 * `tokenizer.json` of a byte-level BPE vocabulary (`tokenizer.ggml.model = gpt2`). @throws QdyloraError
 * UNSUPPORTED, BAD_FILE, BAD_CONFIG.
 */
export function byteLevelBpe(
  path: string,
  metadata: ConfigReader,
  vocabulary: GgufVocabulary,
): Record<string, unknown> {
  const pre = metadata.has('tokenizer.ggml.pre')
    ? preTokenizerOf(path, metadata.string('tokenizer.ggml.pre'))
    : usualPreTokenizer(path, metadata.string('general.architecture'));
  const addsBos = metadata.boolean('tokenizer.ggml.add_bos_token', pre.addsBos);
  const addsEos = metadata.boolean('tokenizer.ggml.add_eos_token', false);
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: vocabulary.addedTokens,
    normalizer: pre.normalizer,
    pre_tokenizer: pre.preTokenizer,
    post_processor: specialTokenTemplate(vocabulary, addsBos, addsEos),
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: pre.ignoreMerges,
      vocab: vocabulary.vocab,
      merges: readMerges(path, metadata, vocabulary),
    },
  };
}

/** Parses merges: `"Ġ t"` → `["Ġ", "t"]`; both tokens and their join must exist. */
function readMerges(path: string, metadata: ConfigReader, vocabulary: GgufVocabulary): [string, string][] {
  return metadata.strings('tokenizer.ggml.merges').map((merge) => {
    const space = merge.indexOf(' ', 1);
    const left = merge.slice(0, space);
    const right = merge.slice(space + 1);
    if (space < 0 || !vocabulary.has(left) || !vocabulary.has(right) || !vocabulary.has(left + right)) {
      throw badFile({
        format: 'gguf',
        path,
        problem:
          `tokenizer.ggml.merges has ${printedName(merge)}, which does not join two tokens into a ` +
          'token.',
      });
    }
    return [left, right];
  });
}
