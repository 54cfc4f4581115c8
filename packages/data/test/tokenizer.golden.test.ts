import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { goldenSums } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { loadTokenizer } from '../src/index.ts';
import {
  FIXTURES,
  fixtureTokenizer,
  readExpected,
  SHAKESPEARE,
  tokenizerFixtures,
  tokenizerJson,
} from './fixtures.ts';

describe('the golden files', () => {
  it('are the bytes their maker wrote', () => {
    const sums = goldenSums(FIXTURES);
    expect(sums.length).toBe(15);
    for (const { file, said, hash } of sums) expect(hash, file).toBe(said);
  });
});

describe.each(tokenizerFixtures())('%s', (name, folder) => {
  const tokenizer = fixtureTokenizer(name, undefined, folder);
  const { texts } = readExpected(name, folder);

  it('has more than 80 texts, and each has the ids of the tokenizers library', () => {
    expect(texts.length).toBeGreaterThan(80);
    for (const { text, ids } of texts) expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
  });

  it('adds the special tokens that its files ask for, and only on request', () => {
    for (const { text, ids, ids_with_special_tokens: full = ids } of texts)
      expect(tokenizer.encode(text, { addSpecialTokens: true }), JSON.stringify(text)).toEqual(full);
  });

  it('decodes to the text of the tokenizers library, with and without special tokens', () => {
    for (const { text, ids, decoded = text, decoded_without_special_tokens: plain = text } of texts) {
      expect(tokenizer.decode(ids), JSON.stringify(text)).toBe(decoded);
      expect(tokenizer.decode(Int32Array.from(ids), { skipSpecialTokens: true }), JSON.stringify(text)).toBe(
        plain,
      );
    }
  });
});

interface Variant {
  name: string;
  title: string;
  change: object;
  rows: { text: string; ids: number[]; decoded: string; tail: number; decoded_tail: string }[];
}
const { variants } = JSON.parse(readFileSync(`${FIXTURES}hard-texts.expected.json`, 'utf8')) as {
  variants: Variant[];
};

describe.each(variants)('awkward Unicode, $name, $title', ({ name, change, rows }) => {
  const tokenizer = loadTokenizer({
    tokenizerJson: { ...(tokenizerJson(name) as object), ...change },
    tokenizerConfig: null,
    chatTemplate: null,
  });

  it('has the ids of the Rust library on sixty random texts', () => {
    expect(rows.length).toBe(60);
    for (const { text, ids } of rows) expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
  });

  it('decodes as the Rust library does, also from inside a character', () => {
    for (const { ids, decoded, tail, decoded_tail: want } of rows) {
      expect(tokenizer.decode(ids)).toBe(decoded);
      expect(tokenizer.decode(tail ? ids.slice(-tail) : [], { skipSpecialTokens: true })).toBe(want);
    }
  });
});

describe('a megabyte of Shakespeare', () => {
  // Counts and hashes of the ids (int32, little endian) by npm tokenizers 0.23.2, which took the text whole.
  it.for([
    ['smollm2', 341_094, '48e900acd0e3537dce2baff773d0ba71fb54ce6c3890c24ddd5386963002b140'],
    ['tiny-llama2-style', 552_637, 'ef182eeeffdd7a7f84065e32109c952cbf434e9ccc22ecb1afe1200425fc8103'],
  ] as const)(
    'has under %s the very ids of the Rust library, and is its text again',
    ([name, tokens, hash], { skip }) => {
      skip(SHAKESPEARE === null, 'shared/data is not beside the checkout');
      const text = readFileSync(SHAKESPEARE!, 'utf8');
      const tokenizer = fixtureTokenizer(name);
      const ids = tokenizer.encode(text);
      expect(ids.length).toBe(tokens);
      expect(
        createHash('sha256')
          .update(new Uint8Array(Int32Array.from(ids).buffer))
          .digest('hex'),
      ).toBe(hash);
      expect(tokenizer.decode(ids)).toBe(text);
    },
  );
});
