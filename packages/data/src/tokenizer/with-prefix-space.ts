import type { TokenizerJson } from './check-tokenizer-json.ts';

/**
 * Classes of transformers that build the parts of their tokenizer by themselves, `add_prefix_space` among
 * them, without `Fast`; others take them from tokenizer.json as they are.
 */
const OWN_PARTS = ['GPT2Tokenizer', 'GPTNeoXTokenizer', 'Qwen2Tokenizer', 'LlamaTokenizer'];

type Part = Readonly<Record<string, unknown>>;

/**
 * A tokenizer.json with the space before the first word that `tokenizer_config.json` asks for, or without it:
 * as `add_prefix_space` says, for the classes of transformers that heed it.
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

/** True where words begin with ▁: SentencePiece's way. */
const hasMarks = ({ model }: TokenizerJson): boolean =>
  (model as { readonly byte_fallback?: unknown }).byte_fallback === true;

/** A part, or each of a sequence, as `change` makes it; null is left out. */
function mapParts(part: Part | null, list: string, change: (part: Part) => Part | null): Part | null {
  if (!part) return null;
  const inner = part[list];
  return Array.isArray(inner)
    ? { ...part, [list]: (inner as Part[]).flatMap((one) => mapParts(one, list, change) ?? []) }
    : change(part);
}
