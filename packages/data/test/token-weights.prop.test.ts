import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NOT_COUNTED, tokenWeights, type Example } from '../src/index.ts';
import { fixtureTokenizer } from './fixtures.ts';

const exampleOf = (ids: readonly number[], counted: (t: number) => boolean): Example => ({
  ids: Int32Array.from(ids),
  labels: Int32Array.from(ids, (id, t) => (counted(t) ? id : NOT_COUNTED)),
});

describe.each(['smollm2', 'tiny-llama2-style', 'tiny-llama3-style'])('the tokens of %s', (name) => {
  const tokenizer = fixtureTokenizer(name);

  it('have texts that are the decoded text when laid end to end, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('the ', 'king', ' ', '\n', '\n\n', '😀', 'é', '日本', ' sea', '.', '  '), {
          minLength: 1,
          maxLength: 150,
          size: 'max',
        }),
        (parts) => {
          const ids = tokenizer.encode(parts.join(''));
          expect(
            tokenWeights(
              exampleOf(ids, () => true),
              tokenizer,
            )
              .map(({ text }) => text)
              .join(''),
          ).toBe(tokenizer.decode(ids));
        },
      ),
      { numRuns: 40 },
    );
  });

  it('have texts without U+FFFD, wherever characters of several tokens are', () => {
    for (let letters = 0; letters < 4; letters++) {
      const text = 'x '.repeat(letters) + '日本'.repeat(100) + '😀'.repeat(50);
      const ids = tokenizer.encode(text);
      const tokens = tokenWeights(
        exampleOf(ids, () => true),
        tokenizer,
      );
      expect(tokens.map((token) => token.text).join('')).toBe(text);
    }
  });

  it('have the weight of their label, the first one none', () => {
    const ids = tokenizer.encode('so the young king went on to the sea');
    expect(
      tokenWeights(
        exampleOf(ids, (t) => t % 3 === 0),
        tokenizer,
      ).map(({ id, weight }) => [id, weight]),
    ).toEqual(ids.map((id, t) => [id, t > 0 && t % 3 === 0 ? 1 : 0]));
  });
});
