import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FIXTURES, fixtureTokenizer, readExpected, SHAKESPEARE, tokenizerFixtures } from './fixtures.ts';

describe('the golden files', () => {
  it('are the bytes their maker wrote', () => {
    const sums = readFileSync(`${FIXTURES}SHA256SUMS`, 'utf8').trim().split('\n').map((line) => line.split('  ') as [string, string]);
    expect(sums.length).toBe(7);
    for (const [sum, file] of sums) expect(createHash('sha256').update(readFileSync(FIXTURES + file)).digest('hex'), file).toBe(sum);
  });
});

describe.each(tokenizerFixtures())('%s', (name, folder) => {
  const tokenizer = fixtureTokenizer(name, undefined, folder), { texts } = readExpected(name, folder);

  it('has more than 80 texts, and each has the ids of the tokenizers library', () => {
    expect(texts.length).toBeGreaterThan(80);
    for (const { text, ids } of texts) expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
  });

  it('adds the special tokens that its files ask for, and only on request', () => {
    for (const { text, ids, ids_with_special_tokens: full = ids } of texts) expect(tokenizer.encode(text, { addSpecialTokens: true }), JSON.stringify(text)).toEqual(full);
  });

  it('decodes to the text of the tokenizers library, with and without special tokens', () => {
    for (const { text, ids, decoded = text, decoded_without_special_tokens: plain = text } of texts) {
      expect(tokenizer.decode(ids), JSON.stringify(text)).toBe(decoded);
      expect(tokenizer.decode(Int32Array.from(ids), { skipSpecialTokens: true }), JSON.stringify(text)).toBe(plain);
    }
  });
});

describe('a megabyte of Shakespeare', () => {
  it.skipIf(!existsSync(SHAKESPEARE)).each([['smollm2', 341_094], ['tiny-llama2-style', undefined]])('takes %s under six seconds, and its tokens are its text again', (name, tokens) => {
    const text = readFileSync(SHAKESPEARE, 'utf8'), tokenizer = fixtureTokenizer(name);
    const started = performance.now(), ids = tokenizer.encode(text), seconds = (performance.now() - started) / 1000;
    if (tokens) expect(ids.length).toBe(tokens); // Hugging Face's own count
    expect(tokenizer.decode(ids)).toBe(text);
    expect(seconds).toBeLessThan(6);
  });
});
