import { QdyloraError } from '@qdylora/contract';

/** A special token by text or id; null = none. */
export type SpecialToken = string | number | null | undefined;

/** The special tokens that a caller chooses; undefined for those of tokenizer_config.json. */
export interface SpecialTokens {
  /** Begin of a sequence. */
  readonly bos?: SpecialToken;
  /** End of a sequence. */
  readonly eos?: SpecialToken;
  /** Padding. */
  readonly pad?: SpecialToken;
}

export interface SpecialIds {
  readonly bosId: number | null;
  readonly eosId: number | null;
  readonly padId: number | null;
}

/** Looks up tokens and ids. */
export interface Vocabulary {
  idOf(token: string): number | undefined;
  textOf(id: number): string | undefined;
}

/**
 * Ids of the special tokens: `chosen`, else as named in tokenizer_config.json (`bos_token` …, a string or `{
 * content }`). A padding token that is not in the vocabulary is null, because nothing is padded here.
 *
 * @throws QdyloraError BAD_CONFIG for any other token that is not in the vocabulary.
 */
export function specialIds(
  chosen: SpecialTokens,
  config: Readonly<Record<string, unknown>>,
  vocabulary: Vocabulary,
): SpecialIds {
  const idOf = (name: keyof SpecialTokens): number | null => {
    const token = chosen[name] === undefined ? tokenText(config[`${name}_token`]) : chosen[name];
    if (token === null || token === undefined) return null;
    const id =
      typeof token === 'number'
        ? vocabulary.textOf(token) === undefined
          ? undefined
          : token
        : vocabulary.idOf(token);
    if (id === undefined && name !== 'pad') {
      throw new QdyloraError('BAD_CONFIG', {
        where: 'tokenizer_config.json',
        problem: `\`${name}_token\` must be in the vocabulary (got ${JSON.stringify(token)}).`,
        nextStep: 'Take tokenizer.json and tokenizer_config.json from the same model.',
      });
    }
    return id ?? null;
  };
  return { bosId: idOf('bos'), eosId: idOf('eos'), padId: idOf('pad') };
}

/**
 * The variables of chat templates: every `…_token` of the config as text; `ids` override `bos_token`,
 * `eos_token` and `pad_token`.
 */
export function templateTokens(
  config: Readonly<Record<string, unknown>>,
  ids: SpecialIds,
  vocabulary: Vocabulary,
): Record<string, string> {
  const tokens: Record<string, string> = {};
  for (const key of Object.keys(config)) {
    const text = /^[a-z]+_token$/.test(key) ? tokenText(config[key]) : null;
    if (text !== null) tokens[key] = text;
  }
  for (const name of ['bos', 'eos', 'pad'] as const) {
    const id = ids[`${name}Id`];
    if (id !== null) tokens[`${name}_token`] = vocabulary.textOf(id)!;
  }
  return tokens;
}

function tokenText(value: unknown): string | null {
  if (typeof value === 'string') return value;
  const content = (value as { content?: unknown } | null | undefined)?.content;
  return typeof content === 'string' ? content : null;
}
