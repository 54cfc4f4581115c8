import { Tokenizer as Library } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkTokenizerJson } from '../src/tokenizer/check-tokenizer-json.ts';
import { pieceSplitter } from '../src/tokenizer/huggingface-tokenizers/split-long-pieces.ts';
import { fixtureTokenizer, tokenizerJson } from './fixtures.ts';

const json = tokenizerJson('tiny-llama2-style') as Record<string, unknown> & {
  model: Record<string, unknown>;
};
const whole = new Library(json, {});
const tokenizer = fixtureTokenizer('tiny-llama2-style');
const split = pieceSplitter(checkTokenizerJson(json))!;

/** Long texts of the vocabulary's own letters, so that merges abound; with runs and strangers. */
const longText = fc
  .array(
    fc.constantFrom(
      'the ',
      'e',
      't',
      ' ',
      '  ',
      'ing',
      'you',
      '\n',
      '\n\n',
      ',',
      'aaaa',
      'th',
      'he',
      'é',
      '😀',
      '日',
    ),
    { minLength: 100, maxLength: 400 },
  )
  .map((parts) => parts.join(''));

describe.each(['smollm2', 'tiny-llama2-style', 'tiny-llama3-style'])(
  'a word of more than 256 characters under %s',
  (name) => {
    const library = new Library(tokenizerJson(name) as object, {});
    const ours = fixtureTokenizer(name);

    it('has the tokens that the library makes of it, pair by pair', () => {
      fc.assert(
        fc.property(
          fc.array(fc.constantFrom('a', 'e', 't', 'th', 'the', 'ing', 'aaaa', 'xyz', 'é', '日', '😀'), {
            minLength: 257,
            maxLength: 700,
          }),
          (parts) => {
            const text = parts.join('');
            expect(ours.encode(text)).toEqual(library.encode(text, { add_special_tokens: false }).ids);
          },
        ),
        { numRuns: 40 },
      );
    });

    it('takes its time in proportion, also where every pair can be joined', () => {
      for (const character of [' ', 'a', '=']) {
        const before = process.cpuUsage();
        expect(ours.decode(ours.encode(character.repeat(60_000)))).toBe(character.repeat(60_000));
        const { user, system } = process.cpuUsage(before);
        expect((user + system) / 1e6, JSON.stringify(character)).toBeLessThan(5);
      }
    });
  },
);

describe('a long text without a pre-tokenizer', () => {
  it('has the tokens of the text taken whole', () => {
    fc.assert(
      fc.property(longText, (text) => {
        expect(tokenizer.encode(text)).toEqual(whole.encode(text, { add_special_tokens: false }).ids);
      }),
      { numRuns: 60 },
    );
  });

  it('is cut into short pieces that are the text again', () => {
    fc.assert(
      fc.property(longText, (text) => {
        expect(split(text).join('')).toBe(text);
      }),
    );
    expect(
      Math.max(
        ...split('so the young king went on to the sea, and '.repeat(50)).map((piece) => piece.length),
      ),
    ).toBeLessThan(100);
  });

  it('stays whole where a merge could join at every place', () => {
    const merges = [
      ['a', 'a'],
      ['aa', 'aa'],
    ];
    const vocab = { a: 0, aa: 1, aaaa: 2 };
    expect(
      pieceSplitter(checkTokenizerJson({ model: { type: 'BPE', vocab, merges } }))!('a'.repeat(1000)),
    ).toEqual(['a'.repeat(1000)]);
  });

  it('is never cut where a piece can be a token without merges, or a word has a suffix', () => {
    for (const change of [{ ignore_merges: true }, { end_of_word_suffix: '</w>' }, { type: 'Unigram' }]) {
      expect(pieceSplitter(checkTokenizerJson({ ...json, model: { ...json.model, ...change } }))).toBeNull();
    }
  });
});

it('unknown characters of a long text become one token where the tokenizer fuses them', () => {
  const fusing = checkTokenizerJson({
    ...json,
    model: { type: 'BPE', vocab: { a: 0, '?': 1 }, merges: [], unk_token: '?', fuse_unk: true },
  });
  expect(pieceSplitter(fusing)).toBeNull();
});
