import type { TokenizerJson } from './check-tokenizer-json.ts';

const MARK = '▁';
const SPACE = ' ';

/**
 * A tokenizer.json of the class `LlamaTokenizer`, with the normalizer, pre-tokenizer and decoder that this
 * class of transformers 5 builds itself: every space becomes ▁, and the text begins with one. Its older form
 * (`legacy`) also adds ▁ behind every special token. Other classes, and byte-level files of this class (Llama
 * 3), keep the parts of the file.
 *
 * Source: transformers 5.24, `models/llama/tokenization_llama.py`.
 */
export function withLlamaParts(
  json: TokenizerJson,
  { tokenizer_class: name, add_prefix_space: prefix, legacy }: Readonly<Record<string, unknown>>,
): TokenizerJson {
  if (!/^LlamaTokenizer(Fast)?$/.test(String(name)) || !hasByteFallback(json)) return json;
  const addsPrefix = prefix !== false;
  return {
    ...json,
    normalizer: null,
    pre_tokenizer: {
      type: 'Metaspace',
      replacement: MARK,
      prepend_scheme: addsPrefix ? (legacy === true ? 'always' : 'first') : 'never',
      split: false,
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: MARK }, content: SPACE },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(addsPrefix ? [{ type: 'Strip', content: SPACE, start: 1, stop: 0 }] : []),
      ],
    },
    model: { ...json.model, unk_token: null, fuse_unk: true, ignore_merges: false },
  };
}

const hasByteFallback = ({ model }: TokenizerJson): boolean =>
  (model.type ?? 'BPE') === 'BPE' && model.byte_fallback === true;
