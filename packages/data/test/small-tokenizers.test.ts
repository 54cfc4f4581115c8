import { describe, expect, it } from 'vitest';
import { loadTokenizer, type Tokenizer } from '../src/index.ts';
import { tokenizerJson } from './fixtures.ts';

const load = (json: object, tokenizerConfig: Readonly<Record<string, unknown>> | null = null): Tokenizer =>
  loadTokenizer({ tokenizerJson: json, tokenizerConfig, chatTemplate: null });

const bpe = (tokens: string[], change: object = {}): object => ({
  model: {
    type: 'BPE',
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    merges: [],
    ...change,
  },
});
const added = (content: string, id: number, change: object = {}): object => ({
  added_tokens: [{ id, content, normalized: true, ...change }],
});
const metaspace = (scheme: string): object => ({
  type: 'Metaspace',
  replacement: '▁',
  prepend_scheme: scheme,
});

/** What the Rust library (tokenizers 0.23.3 of Python) gives. */
describe('the ids of a text equal those of the Rust library', () => {
  const first = metaspace('first');
  const afterDigits = {
    type: 'Sequence',
    pretokenizers: [{ type: 'Digits', individual_digits: true }, first],
  };
  const bert = { type: 'BertNormalizer', handle_chinese_chars: true, strip_accents: null, lowercase: true };
  const joined = bpe(['a', 'b', 'ab'], { merges: [['a', 'b']] });
  const scored = (vocab: [string, number][]): object => ({ model: { type: 'Unigram', unk_id: 0, vocab } });

  it.each<[string, object, string, number[]]>([
    ['an unknown character between two that are joined', joined, 'a?b', [2]],
    ['many of them in a long word', joined, 'a?b'.repeat(200), Array<number>(200).fill(2)],
    ['no character that is known', joined, '?', []],
    [
      'a mark in front of the first piece only',
      { ...bpe(['▁', 'a', '1']), pre_tokenizer: afterDigits },
      '1a a',
      [0, 2, 1, 0, 1],
    ],
    [
      'no mark behind an added token',
      { ...bpe(['▁', 'a']), ...added('<t>', 2), normalizer: { type: 'NFC' }, pre_tokenizer: first },
      '<t>a',
      [2, 1],
    ],
    [
      'two ways whose sums differ before a large score rounds them to the same number',
      scored([
        ['<unk>', -10],
        ['a', -0.1],
        ['b', -0.2],
        ['ab', -0.3000000000000001],
        ['c', -1000],
      ]),
      'abc',
      [1, 2, 4],
    ],
    [
      'an added token that is matched with a mark, and again without one',
      { ...bpe(['▁', '<', 't', '>']), ...added('<t>', 4), normalizer: { type: 'Prepend', prepend: '▁' } },
      '<t><t>',
      [4, 1, 2, 3],
    ],
    [
      'a dollar in the content of Replace',
      {
        ...bpe(['a', 'b', '$', '&']),
        normalizer: { type: 'Replace', pattern: { String: 'a' }, content: '$&' },
      },
      'ab',
      [2, 3, 1],
    ],
    [
      'an added token that takes U+0085 on its right, but not U+FEFF',
      { ...bpe(['a', '\ufeff', '\u0085']), ...added('<t>', 3, { normalized: false, rstrip: true }) },
      '<t>\u0085a<t>\ufeffa',
      [3, 0, 3, 1, 0],
    ],
    [
      'a text that equals an added token only when it is normalized',
      {
        ...bpe(['<', '/', 's', '>']),
        ...added('</s>', 4, { normalized: false }),
        normalizer: { type: 'Lowercase' },
      },
      '</S></s>',
      [0, 1, 2, 3, 4],
    ],
    [
      'no mark between added tokens that take all of the text between them',
      {
        ...bpe(['▁', 'a']),
        ...added('<t>', 2, { normalized: false, rstrip: true }),
        pre_tokenizer: metaspace('always'),
      },
      '<t> <t>a',
      [2, 2, 0, 1],
    ],
    [
      'an added token of white space beside one that takes white space',
      {
        ...bpe(['a']),
        added_tokens: [
          { id: 1, content: '<t>', normalized: false, rstrip: true },
          { id: 2, content: '  ', normalized: false },
        ],
      },
      '<t>  a',
      [1, 2, 0],
    ],
    ['each Σ alone under BertNormalizer', { ...bpe(['σ', 'ς']), normalizer: bert }, 'ΣΣ', [0, 0]],
    [
      'a Chinese character beyond U+FFFF under BertNormalizer',
      { ...bpe(['𠀀', ' ', 'a']), normalizer: bert },
      'a𠀀a',
      [2, 1, 0, 1, 2],
    ],
  ])('%s', (_, json, text, ids) => {
    expect(load(json).encode(text)).toEqual(ids);
  });

  it('and its texts too, with a dollar in the content of Replace', () => {
    const decoder = { type: 'Replace', pattern: { String: 'b' }, content: '$1' };
    expect(load({ ...bpe(['a', 'b']), decoder }).decode([0, 1])).toBe('a$1');
  });
});

describe('characters for which there is no token are refused, as in the Rust library', () => {
  it.each<[string, object]>([
    ['Unigram', { model: { type: 'Unigram', unk_id: null, vocab: [['a', -1]] } }],
    ['WordPiece', { model: { type: 'WordPiece', unk_token: '[NOPE]', vocab: { a: 0 } } }],
    ['BPE', bpe(['a'], { unk_token: '<x>' })],
  ])('by %s without an unknown token', (_, json) => {
    const tokenizer = load(json);
    expect(tokenizer.encode('a')).toEqual([0]);
    expect(() => tokenizer.encode('b')).toThrow(
      expect.objectContaining({
        code: 'BAD_FILE',
        message: expect.stringMatching(/The vocabulary has no ".*", and no token for unknown char/) as string,
      }),
    );
  });
});

/** What `LlamaTokenizer` of transformers 5.24 gives with the same files. */
describe('the class LlamaTokenizer', () => {
  const tiny = tokenizerJson('tiny-llama2-style') as object;
  const texts = ['<s>hi</s> <s> x', ' a  b'];
  const current = [
    [1, 301, 302, 2, 320, 1, 320, 317],
    [401, 340],
  ];

  it.each<[Readonly<Record<string, unknown>>, number[][]]>([
    [{ tokenizer_class: 'LlamaTokenizer' }, current],
    [{ tokenizer_class: 'LlamaTokenizerFast', legacy: false }, current],
    [
      { tokenizer_class: 'LlamaTokenizer', legacy: true },
      [
        [1, 330, 302, 2, 320, 1, 320, 317],
        [401, 340],
      ],
    ],
    [
      { tokenizer_class: 'PreTrainedTokenizerFast' },
      [
        [1, 330, 302, 2, 320, 320, 1, 320, 320, 317],
        [320, 401, 340],
      ],
    ],
  ])('uses its own parts in place of those of the file: %j', (config, ids) => {
    const tokenizer = load(tiny, config);
    expect(texts.map((text) => tokenizer.encode(text))).toEqual(ids);
    expect(tokenizer.decode(tokenizer.encode('a b'))).toBe('a b');
  });

  it('keeps the parts of a byte-level file', () => {
    const bytes = tokenizerJson('tiny-llama3-style') as object;
    const ids = load(bytes).encode(' a  b é');
    expect(
      load(bytes, { tokenizer_class: 'LlamaTokenizer', add_prefix_space: true }).encode(' a  b é'),
    ).toEqual(ids);
  });
});
