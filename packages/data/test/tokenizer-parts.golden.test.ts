import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { QdyloraError } from '@qdylora/contract';
import { describe, expect, it, test } from 'vitest';
import { loadTokenizer, type Tokenizer } from '../src/index.ts';
import { FIXTURES, type TextCase } from './fixtures.ts';

interface Parts {
  readonly cases: Readonly<
    Record<
      string,
      {
        readonly tokenizer: {
          readonly model: object;
          readonly added_tokens: readonly object[];
          readonly normalizer: { readonly precompiled_charsmap?: string } | null;
        };
        readonly texts: readonly TextCase[];
      }
    >
  >;
}

/**
 * Small tokenizers, each with another part, and what Python's tokenizers 0.23.3 makes of them
 * (packages/testing/makers/make_tokenizer_parts.py).
 */
const { cases } = JSON.parse(
  gunzipSync(readFileSync(`${FIXTURES}tokenizer-parts.expected.json.gz`)).toString('utf8'),
) as Parts;

const loaded = (tokenizerJson: unknown): Tokenizer =>
  loadTokenizer({ tokenizerJson, tokenizerConfig: null, chatTemplate: null });

test.each(Object.entries(cases))(
  '%s: every text has the ids of the tokenizers library, and becomes its text again',
  (_, { tokenizer: json, texts }) => {
    const tokenizer = loaded(json);
    for (const { text, ids, ids_with_special_tokens: whole, ...want } of texts) {
      expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
      expect(tokenizer.encode(text, { addSpecialTokens: true }), JSON.stringify(text)).toEqual(whole);
      expect(
        [tokenizer.decode(whole!), tokenizer.decode(whole!, { skipSpecialTokens: true })],
        JSON.stringify(text),
      ).toEqual([want.decoded, want.decoded_without_special_tokens]);
    }
  },
);

describe('a tokenizer that would give other tokens here is refused by name', () => {
  const { tokenizer: json } = cases.Whitespace!;
  it.each([
    [
      'a vocabulary of words',
      { ...json, model: { ...json.model, type: 'WordLevel' } },
      /one of BPE, Unigram, WordPiece \(got "WordLevel"\)/,
    ],
    [
      'BPE with a prefix inside words',
      { ...json, model: { ...json.model, continuing_subword_prefix: '##' } },
      /BPE with a continuing_subword_prefix is not supported \(got "##"\)/,
    ],
    [
      'an added token that counts as a whole word only',
      { ...json, added_tokens: json.added_tokens.map((token) => ({ ...token, single_word: true })) },
      /Added tokens with single_word are not supported \(got "<unk>"\)/,
    ],
  ])('%s', (_, file, message) => {
    let error: unknown;
    try {
      loaded(file);
    } catch (thrown) {
      error = thrown;
    }
    expect(QdyloraError.isInstance(error) && error.code).toBe('UNSUPPORTED');
    expect((error as Error).message).toMatch(message);
  });
});

describe('a precompiled map of characters', () => {
  const { tokenizer: json } = cases['Precompiled map of characters']!;

  it('takes its time in proportion to the text, and clusters of any length', () => {
    const tokenizer = loaded(json);
    expect(tokenizer.encode('日'.repeat(100_000))).toEqual(tokenizer.encode('月'.repeat(100_000)));
    const marks = '\u0302'.repeat(1000);
    expect(tokenizer.encode(`x${marks}日`)).toEqual(tokenizer.encode(`x${marks}月`));
  });

  it.each(['', 'AA==', '/////w==', 'no base64', null])('of %j is refused', (map) => {
    expect(() => loaded({ ...json, normalizer: { ...json.normalizer, precompiled_charsmap: map } })).toThrow(
      expect.objectContaining({ code: 'BAD_FILE' }),
    );
  });

  it('that is cut anywhere maps something or is refused', () => {
    const bytes = Buffer.from(json.normalizer!.precompiled_charsmap!, 'base64');
    for (let end = 0; end < bytes.length; end += 7) {
      const map = bytes.subarray(0, end).toString('base64');
      const file = { ...json, normalizer: { ...json.normalizer, precompiled_charsmap: map } };
      let error: unknown = null;
      try {
        loaded(file).encode('ﬁ ½ e\u0301 日');
      } catch (thrown) {
        error = thrown;
      }
      expect(error === null || QdyloraError.isInstance(error)).toBe(true);
    }
  });
});
