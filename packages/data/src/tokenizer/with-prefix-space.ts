import type { TokenizerJson } from './check-tokenizer-json.ts';

/**
 * Tokenizer classes of transformers (without `Fast`) that build their own parts, `add_prefix_space` included.
 * Other classes take their parts from tokenizer.json as they are.
 */
const OWN_PARTS = ['GPT2Tokenizer', 'GPTNeoXTokenizer', 'Qwen2Tokenizer', 'LlamaTokenizer'];

type Part = Readonly<Record<string, unknown>>;

/**
 * Adds or removes the space before the first word in a tokenizer.json, as `add_prefix_space` of
 * tokenizer_config.json says, for the classes of transformers that respect it.
 */
export function withPrefixSpace(
  json: TokenizerJson,
  { add_prefix_space: wanted, tokenizer_class: name }: Readonly<Record<string, unknown>>,
): TokenizerJson {
  if (
    typeof wanted !== 'boolean' ||
    typeof name !== 'string' ||
    !OWN_PARTS.includes(name.replace(/Fast$/, ''))
  )
    return json;
  const {
    normalizer,
    pre_tokenizer: pieces,
    decoder,
  } = json as TokenizerJson & Readonly<Record<'normalizer' | 'pre_tokenizer' | 'decoder', Part | null>>;
  const spaced = mapParts(pieces, 'pretokenizers', (part) =>
    part.type === 'ByteLevel'
      ? { ...part, add_prefix_space: wanted }
      : part.type === 'Metaspace' && !wanted
        ? { ...part, add_prefix_space: false, prepend_scheme: 'never' }
        : part,
  );
  if (wanted || !hasMarks(json)) return { ...json, pre_tokenizer: spaced };
  const isDropped = ({ type, prepend, content }: Part): boolean =>
    (type === 'Prepend' && prepend === '▁') || (type === 'Strip' && content === ' ');
  return {
    ...json,
    pre_tokenizer: spaced,
    normalizer: mapParts(normalizer, 'normalizers', (part) => (isDropped(part) ? null : part)),
    decoder: mapParts(decoder, 'decoders', (part) => (isDropped(part) ? null : part)),
  };
}

/** True if words begin with ▁, as in SentencePiece. */
const hasMarks = ({ model }: TokenizerJson): boolean =>
  (model as { readonly byte_fallback?: unknown }).byte_fallback === true;

/** Applies `change` to a part, or to each part of a sequence; null removes the part. */
function mapParts(part: Part | null, list: string, change: (part: Part) => Part | null): Part | null {
  if (!part) return null;
  const inner = part[list];
  return Array.isArray(inner)
    ? { ...part, [list]: (inner as Part[]).flatMap((one) => mapParts(one, list, change) ?? []) }
    : change(part);
}
