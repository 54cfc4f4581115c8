import { isRecord } from '../../json/is-record.ts';

/** Tokens that are added in front of a text and behind it. */
export interface TokensAround {
  readonly begin: readonly string[];
  readonly end: readonly string[];
}

const NONE: TokensAround = { begin: [], end: [] };

/** The tokens that a post-processor of `tokenizer.json` adds to a text; null for one of another kind. */
export function tokensAround(processor: unknown): TokensAround | null {
  if (processor === undefined || processor === null) return NONE;
  if (!isRecord(processor)) return null;
  switch (processor.type) {
    case 'ByteLevel': // changes offsets alone
      return NONE;
    case 'Sequence':
      return Array.isArray(processor.processors) ? ofSequence(processor.processors) : null;
    case 'TemplateProcessing':
      return Array.isArray(processor.single) ? ofTemplate(processor.single) : null;
    default:
      return null;
  }
}

/** Each post-processor adds its tokens around those of the ones before it. */
const ofSequence = (processors: readonly unknown[]): TokensAround | null =>
  processors.map(tokensAround).reduce(
    (inner, outer) =>
      inner &&
      outer && {
        begin: [...outer.begin, ...inner.begin],
        end: [...inner.end, ...outer.end],
      },
    NONE,
  );

/** A template has one text, and special tokens around it. */
function ofTemplate(single: readonly unknown[]): TokensAround | null {
  const names = single.map((item) =>
    isRecord(item) && isRecord(item.SpecialToken) ? item.SpecialToken.id : null,
  );
  const text = names.indexOf(null);
  const begin = names.slice(0, text);
  const end = names.slice(text + 1);
  const areTokens = (list: readonly unknown[]): list is string[] =>
    list.every((name) => typeof name === 'string');
  return text >= 0 && areTokens(begin) && areTokens(end) ? { begin, end } : null;
}
