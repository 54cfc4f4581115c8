import type { TokenizerJson } from './check-tokenizer-json.ts';

/**
 * Tokenizer classes of transformers (without `Fast`) that build their own byte-level pre-tokenizer,
 * `add_prefix_space` included. Other classes take it from tokenizer.json as it is.
 */
const OWN_PARTS = ['GPT2Tokenizer', 'GPTNeoXTokenizer', 'Qwen2Tokenizer'];

type Part = Readonly<Record<string, unknown>>;

/**
 * Adds or removes the space before the first word in a tokenizer.json, as `add_prefix_space` of
 * tokenizer_config.json says, for the byte-level classes that respect it; Llama's is in `withLlamaParts`.
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
  return { ...json, pre_tokenizer: withSpace(json.pre_tokenizer as Part | null, wanted) };
}

/** Changes a byte-level part, or those in a sequence. */
function withSpace(part: Part | null, wanted: boolean): Part | null {
  const inner = part?.pretokenizers;
  if (Array.isArray(inner))
    return { ...part, pretokenizers: (inner as Part[]).map((one) => withSpace(one, wanted)) };
  return part?.type === 'ByteLevel' ? { ...part, add_prefix_space: wanted } : part;
}
