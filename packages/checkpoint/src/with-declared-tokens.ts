import { isRecord } from './json/read-json-file.ts';

/**
 * A `tokenizer.json` with the tokens that only other files of its folder name, under the ids that they give: `added_tokens_decoder` of `tokenizer_config.json`, by id, and the older `added_tokens.json`, by
 * content. So transformers reads them. What `tokenizer.json` has, by content or by id, stays as it is.
 */
export function withDeclaredTokens(json: unknown, byId: unknown, byContent: unknown): unknown {
  if (!isRecord(json) || !isRecord(json.model)) return json;
  const { vocab } = json.model, added: readonly unknown[] = Array.isArray(json.added_tokens) ? json.added_tokens : [];
  const contents = new Set<unknown>(isRecord(vocab) ? Object.keys(vocab) : Array.isArray(vocab) ? vocab.map((entry: unknown) => (Array.isArray(entry) ? entry[0] : entry)) : []), ids = new Set<unknown>(isRecord(vocab) ? Object.values(vocab) : Array.isArray(vocab) ? vocab.keys() : []);
  for (const token of added) if (isRecord(token)) { contents.add(token.content); ids.add(token.id); }
  const missing: Record<string, unknown>[] = [];
  for (const token of declared(byId, byContent)) {
    if (contents.has(token.content) || ids.has(token.id)) continue;
    contents.add(token.content);
    ids.add(token.id);
    missing.push(token);
  }
  return missing.length === 0 ? json : { ...json, added_tokens: [...added, ...missing] };
}

function declared(byId: unknown, byContent: unknown): Record<string, unknown>[] {
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };
  const decoder = isRecord(byId) ? Object.entries(byId).flatMap(([id, token]) => (isRecord(token) && typeof token.content === 'string' ? [{ ...plain, ...token, id: Number(id) }] : [])) : [];
  const older = isRecord(byContent) ? Object.entries(byContent).map(([content, id]) => ({ ...plain, id, content })) : [];
  return [...decoder, ...older].sort((a, b) => Number(a.id) - Number(b.id));
}
