import { isRecord } from '../json/is-record.ts';

/** Tokens declared in files other than `tokenizer.json`; values of an unexpected shape are ignored. */
export interface DeclaredTokens {
  /** `added_tokens_decoder` of `tokenizer_config.json`. */
  readonly byId?: unknown;
  /** The older `added_tokens.json`. */
  readonly byContent?: unknown;
  /** Named tokens (`bos_token`, …) in transformers' order, as text or as records with `content`. */
  readonly named?: readonly unknown[];
  /** `additional_special_tokens`, or `extra_special_tokens`. */
  readonly additional?: readonly unknown[];
}

/**
 * Adds the tokens that only other files of the folder declare, as transformers does.
 *
 * - Tokens with an id are added under that id.
 * - Special tokens of the vocabulary are added too, so that they are never split.
 * - If additional special tokens are not in the vocabulary, all special tokens without an id are appended
 *   after the last id.
 *
 * Unlike transformers, a named token is not appended if it is the only one without an id: nothing is padded
 * here, and the model has no row for it. Tokens of `tokenizer.json`, by content or by id, are unchanged.
 */
export function withDeclaredTokens(
  json: unknown,
  { byId, byContent, named = [], additional = [] }: DeclaredTokens,
): unknown {
  if (!isRecord(json) || !isRecord(json.model)) return json;
  const { vocab } = json.model;
  const added: readonly unknown[] = Array.isArray(json.added_tokens) ? json.added_tokens : [];
  const idOf = vocabularyIds(vocab);
  const contents = new Set(added.map((token) => (isRecord(token) ? token.content : undefined)));
  const ids = new Set<unknown>(added.map((token) => (isRecord(token) ? token.id : undefined)));
  for (const id of idOf.values()) ids.add(id);
  const missing: Record<string, unknown>[] = [];
  const add = (token: Record<string, unknown>): void => {
    contents.add(token.content);
    ids.add(token.id);
    missing.push(token);
  };
  for (const token of declared(byId, byContent))
    if (!contents.has(token.content) && !ids.has(token.id) && !idOf.has(token.content as string)) add(token);
  const special = [...named, ...additional].flatMap(specialToken);
  const isNew = ({ content }: Record<string, unknown>): boolean =>
    !contents.has(content) && !idOf.has(content as string);
  const hasNew = additional.flatMap(specialToken).some(isNew);
  let last = -1;
  for (const id of ids) if (typeof id === 'number' && id > last) last = id;
  for (const token of special) {
    if (contents.has(token.content)) continue;
    if (!isNew(token)) add({ ...token, id: idOf.get(token.content as string) });
    else if (hasNew) add({ ...token, id: ++last });
  }
  return missing.length === 0 ? json : { ...json, added_tokens: [...added, ...missing] };
}

/** True if a tokenizer.json has a token, in its vocabulary or among the added tokens. */
export function hasToken(json: unknown, content: string): boolean {
  if (!isRecord(json)) return false;
  return (
    (Array.isArray(json.added_tokens) &&
      json.added_tokens.some((token) => isRecord(token) && token.content === content)) ||
    (isRecord(json.model) && hasPiece(json.model.vocab, content))
  );
}

const contentOf = (piece: unknown): string => String(Array.isArray(piece) ? piece[0] : piece);

const hasPiece = (vocab: unknown, content: string): boolean =>
  Array.isArray(vocab)
    ? vocab.some((piece) => contentOf(piece) === content)
    : isRecord(vocab) && Object.hasOwn(vocab, content);

/** Ids by content, from a record (BPE) or a list of pieces (Unigram). */
function vocabularyIds(vocab: unknown): Map<string, unknown> {
  if (Array.isArray(vocab)) return new Map(vocab.map((piece: unknown, id) => [contentOf(piece), id]));
  return new Map(isRecord(vocab) ? Object.entries(vocab) : []);
}

const PLAIN = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };

/** A special token in the form of `added_tokens`, without its id. */
function specialToken(token: unknown): Record<string, unknown>[] {
  if (typeof token === 'string') return token === '' ? [] : [{ ...PLAIN, special: true, content: token }];
  if (!isRecord(token) || typeof token.content !== 'string' || token.content === '') return [];
  const { single_word, lstrip, rstrip, normalized } = { ...PLAIN, ...token };
  return [{ content: token.content, single_word, lstrip, rstrip, normalized, special: true }];
}

function declared(byId: unknown, byContent: unknown): Record<string, unknown>[] {
  const decoder = isRecord(byId)
    ? Object.entries(byId).flatMap(([id, token]) =>
        isRecord(token) && typeof token.content === 'string' ? [{ ...PLAIN, ...token, id: Number(id) }] : [],
      )
    : [];
  const older = isRecord(byContent)
    ? Object.entries(byContent).map(([content, id]) => ({ ...PLAIN, id, content }))
    : [];
  return [...decoder, ...older].sort((a, b) => Number(a.id) - Number(b.id));
}
