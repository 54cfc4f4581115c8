import { QdyloraError } from '@qdylora/contract';
import type { TokenizerJson } from './check-tokenizer-json.ts';
import type { Tokenizer } from './tokenizer.ts';
import { TimeLimit, withTimeLimit } from './with-time-limit.ts';

/** Letter classes of the patterns of Tekken and o200k. */
const UPPER = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const LOWER = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';

/**
 * Patterns of well-known models, which take linear time: every alternative begins with another kind of
 * character, or ends where its class does. Llama 3 (and tiktoken's cl100k), Qwen 2, Tekken and o200k,
 * DeepSeek Coder, Falcon, GPT-2, and the pattern for Unigram vocabularies of GGUF files.
 */
const KNOWN_PATTERNS: ReadonlySet<string> = new Set([
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| " +
    '?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| " +
    '?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  ...['', "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"].flatMap((contraction) =>
    ['', '{1,3}'].map(
      (digits) =>
        `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+${contraction}` +
        `|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*${contraction}` +
        `|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
    ),
  ),
  '[\\r\\n]',
  '\\s?\\p{L}+',
  '\\s?\\p{P}+',
  '[一-龥ࠀ-一가-퟿]+',
  '[0-9][0-9][0-9]',
  '\u2581',
  '(?<![\\s\\S]) +| +(?![\\s\\S])',
  ' {2,}',
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
]);

/**
 * Time limit: a minimum, plus a time per character. The latter is fifty times that of the slowest known
 * tokenizer on a busy machine.
 */
const LEAST_MS = 500;
const MS_PER_CHARACTER = 0.05;

/**
 * The second attempt may take this many times as long. A loaded machine stops a process for more than the
 * first limit: 2 of 4,174 short texts on 2 cores with load 10 (November 2026).
 */
const SECOND_ATTEMPT = 4;

/** The first pattern of a tokenizer.json that is not known to take linear time; null if there is none. */
export function unknownPattern(json: TokenizerJson): string | null {
  const stack: unknown[] = [json.normalizer, json.pre_tokenizer, json.decoder];
  while (stack.length > 0) {
    const part = stack.pop();
    if (typeof part !== 'object' || part === null) continue;
    const { Regex: pattern } = part as { Regex?: unknown };
    if (typeof pattern === 'string' && !KNOWN_PATTERNS.has(pattern)) return pattern;
    stack.push(...Object.values(part));
  }
  return null;
}

/**
 * Wraps an encoder with a time limit: a pattern from a file may backtrack without end (`^(a+)+$`).
 *
 * @throws QdyloraError BAD_FILE from the encoder if a text takes too long, twice
 */
export function guardPatterns(encode: Tokenizer['encode'], pattern: string): Tokenizer['encode'] {
  return (text, options) => {
    const limit = Math.ceil(LEAST_MS + MS_PER_CHARACTER * text.length);
    const longer = SECOND_ATTEMPT * limit;
    let cause: unknown = null;
    for (const milliseconds of [limit, longer]) {
      try {
        return withTimeLimit(milliseconds, () => encode(text, options));
      } catch (error) {
        if (!(error instanceof TimeLimit)) throw error;
        cause = error;
      }
    }
    throw new QdyloraError('BAD_FILE', {
      where: 'tokenizer.json',
      problem:
        `The pattern ${JSON.stringify(pattern.slice(0, 200))} took more than ${longer} ms on a ` +
        `text of ${text.length} characters.`,
      nextStep: 'Take tokenizer.json from where the model comes from, or shorten the row.',
      cause,
    });
  };
}
