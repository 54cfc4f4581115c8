import { describe, expect, it } from 'vitest';
import { loadTokenizer, type Tokenizer, type TokenizerFiles } from '../src/index.ts';
import { fixtureTokenizer, tokenizerJson } from './fixtures.ts';

const tiny = tokenizerJson('tiny-llama2-style') as {
  model: { vocab: Record<string, number>; merges: unknown[] };
  added_tokens: object[];
};
const load = (files: Partial<TokenizerFiles>) =>
  loadTokenizer({ tokenizerJson: tiny, tokenizerConfig: null, chatTemplate: null, ...files });
const withModel = (change: object): unknown => ({ ...tiny, model: { ...tiny.model, ...change } });

it('added tokens beyond the vocabulary do not count in its own size', () => {
  const size = Object.keys(tiny.model.vocab).length;
  const added = [...tiny.added_tokens, { id: size, content: '<image>', special: true }];
  const { vocabularySize, baseVocabularySize } = load({ tokenizerJson: { ...tiny, added_tokens: added } });
  expect([vocabularySize, baseVocabularySize]).toEqual([size + 1, size]);
});

describe('special tokens', () => {
  it('come from the config, written as text or as a record', () => {
    const { bosId, eosId, padId } = load({
      tokenizerConfig: { bos_token: '<s>', eos_token: { content: '</s>', lstrip: false } },
    });
    expect({ bosId, eosId, padId }).toEqual({ bosId: 1, eosId: 2, padId: null });
  });

  it('are overruled by what is given, as ids or as text, and null means none', () => {
    const { bosId, eosId } = load({
      tokenizerConfig: { bos_token: '<s>', eos_token: '</s>' },
      specialTokens: { bos: null, eos: 0 },
    });
    expect({ bosId, eosId }).toEqual({ bosId: null, eosId: 0 });
    expect(load({ specialTokens: { eos: '<unk>' } }).eosId).toBe(0);
  });

  it('must be in the vocabulary, but for padding, which is never used', () => {
    expect(() => load({ tokenizerConfig: { eos_token: '<|end|>' } })).toThrow(
      expect.objectContaining({
        code: 'BAD_CONFIG',
        message: expect.stringMatching(/`eos_token` must be in the vocabulary \(got "<\|end\|>"/) as string,
      }),
    );
    expect(() => load({ specialTokens: { bos: 1e6 } })).toThrow(
      /`bos_token` must be in the vocabulary \(got 1000000/,
    );
    expect(load({ tokenizerConfig: { pad_token: '[PAD]' } }).padId).toBeNull();
  });
});

it.each([true, 1, 'true'])('a config that splits special tokens (%j) is refused', (value) => {
  expect(() => load({ tokenizerConfig: { split_special_tokens: value } })).toThrow(
    expect.objectContaining({
      code: 'UNSUPPORTED',
      where: 'tokenizer_config.json',
      message: expect.stringMatching(
        /`split_special_tokens` must be false \(got .*Set it to false/,
      ) as string,
    }),
  );
  for (const isSplit of [false, null, undefined])
    expect(load({ tokenizerConfig: { split_special_tokens: isSplit } }).encode('</s>')).toEqual([2]);
});

describe('a tokenizer', () => {
  it('says what one token stands for inside a text', () => {
    const llama = load({});
    const smol = fixtureTokenizer('smollm2');
    expect(llama.encode('the king').map(llama.tokenText).join('')).toBe(' the king');
    expect(smol.encode('Hello world').map(smol.tokenText)).toEqual(['Hello', ' world']);
    expect(smol.encode('😀').map(smol.tokenText).join('')).toMatch(/^\ufffd+$/);
    expect(smol.tokenText(2)).toBe('<|im_end|>');
  });

  it('knows the bytes of a token, also of one that is only part of a character', () => {
    for (const { encode, tokenBytes } of [load({}), fixtureTokenizer('smollm2')]) {
      const bytes = encode('x中é😀 龘').flatMap((id) => [...tokenBytes(id)!]);
      expect(Buffer.from(bytes).toString().trimStart()).toBe('x中é😀 龘');
    }
    const { unk_token: unknown } = tiny.model as { unk_token?: string };
    expect(Buffer.from(load({}).tokenBytes(0)!).toString()).toBe(unknown);
    const letters = { type: 'BPE', vocab: { '\ufffd': 0 }, merges: [] };
    expect(load({ tokenizerJson: { model: letters } }).tokenBytes(0)).toBeNull();
  });

  it('counts its vocabulary by the largest id, and passes over ids beyond it when decoding', () => {
    expect(load({}).vocabularySize).toBe(900);
    expect(load({}).decode([load({}).vocabularySize + 5, ...load({}).encode('king')])).toBe('king');
    expect(load({}).decode([])).toBe('');
  });

  it('reads a lone surrogate as U+FFFD', () => {
    const smol = fixtureTokenizer('smollm2');
    expect(smol.decode(smol.encode('a\ud800b'))).toBe('a\ufffdb');
  });

  it('takes a text of 200,000 tokens in one piece of a Unigram vocabulary', () => {
    const vocab = Object.entries({ '<unk>': 0, a: -1 });
    const model = { type: 'Unigram', unk_id: 0, vocab };
    const { encode } = load({ tokenizerJson: { model } });
    expect(encode('a'.repeat(200_000)).length).toBe(200_000);
  });

  it('takes the template it gets, none for null, else that of the config named default', () => {
    const named = [
      { name: 'tool_use', template: 'T' },
      { name: 'default', template: 'D' },
    ];
    const ofConfig = (template: unknown): Tokenizer =>
      load({ tokenizerConfig: { chat_template: template }, chatTemplate: undefined });
    expect(ofConfig('C').chatTemplate?.source).toBe('C');
    expect(ofConfig(named).chatTemplate?.source).toBe('D');
    expect(load({ tokenizerConfig: { chat_template: named }, chatTemplate: null }).chatTemplate).toBeNull();
    expect(load({ tokenizerConfig: { chat_template: named }, chatTemplate: 'J' }).chatTemplate?.source).toBe(
      'J',
    );
    expect(load({}).chatTemplate).toBeNull();
    expect([
      load({ chatTemplate: 'J', toolTemplate: 'T' }).chatTemplate?.forTools?.source,
      load({ chatTemplate: 'J', toolTemplate: null }).chatTemplate?.forTools,
    ]).toEqual(['T', undefined]);
  });
});

describe('a tokenizer.json', () => {
  it.each<[string, unknown, RegExp]>([
    ['a list', [], /The file must hold an object with a `model` \(got a list\)/],
    ['a string', 'x', /an object with a `model` \(got a string\)/],
    ['nothing in it', null, /an object with a `model` \(got null\)/],
    ['no model', { added_tokens: [] }, /`model` must be an object \(got nothing\)/],
    [
      'a negative id',
      withModel({ vocab: { ...tiny.model.vocab, x: -1 } }),
      /The id of "x" must be a whole number from 0 to 16777215 \(got -1\)/,
    ],
    [
      'an id of 2^31',
      withModel({ vocab: { ...tiny.model.vocab, x: 2 ** 31 } }),
      /The id of "x" must be a whole number from 0 to 16777215 \(got 2147483648\)/,
    ],
    [
      'an id that is text',
      { ...tiny, added_tokens: [{ id: '3', content: '<x>' }] },
      /The id of "<x>" must be a whole number from 0 to 16777215 \(got 3\)/,
    ],
    [
      'added tokens without content',
      { ...tiny, added_tokens: [{ id: 3 }] },
      /`added_tokens` must be a list of tokens, each with a text as its `content`/,
    ],
    [
      'two tokens of one id',
      withModel({ vocab: { ...tiny.model.vocab, x: 5 } }),
      /Each id of the vocabulary must belong to one token \(got 5 for "x" and for "/,
    ],
    [
      'two added tokens of one id',
      {
        ...tiny,
        added_tokens: [
          { id: 3, content: '<x>' },
          { id: 3, content: '<y>' },
        ],
      },
      /The id 3 must belong to one token \(got "<x>" and "<y>"\)/,
    ],
    [
      'an empty added token',
      { ...tiny, added_tokens: [{ id: 3, content: '' }] },
      /An added token must have 1 to 1024 characters \(got 0 at the id 3\)/,
    ],
    [
      'an added token of a megabyte',
      { ...tiny, added_tokens: [{ id: 3, content: 'x'.repeat(2 ** 20) }] },
      /An added token must have 1 to 1024 characters \(got 1048576 at the id 3\)/,
    ],
    [
      'a hundred thousand added tokens',
      { ...tiny, added_tokens: Array.from({ length: 100_000 }, (_, id) => ({ id, content: `<${id}>` })) },
      /There may be at most 65536 added_tokens \(got 100000\)/,
    ],
    [
      'a merge of a token that is missing',
      withModel({ merges: [...tiny.model.merges, ['zq', 'qz']] }),
      /The vocabulary has no "zq", which the merge \["zq","qz"\] needs/,
    ],
    ['a merge that is a number', withModel({ merges: [0] }), /A merge must join two tokens \(got 0\)/],
    [
      'a merge of three tokens',
      withModel({ merges: [['a', 'b', 'c']] }),
      /A merge must join two tokens \(got \["a","b","c"\]\)/,
    ],
    [
      'a prefix that is a number',
      withModel({ continuing_subword_prefix: 1 }),
      /`continuing_subword_prefix` must be a text \(got a number\)/,
    ],
    [
      'BPE without merges',
      withModel({ merges: undefined }),
      /BPE needs an object `vocab` and a list `merges` \(got an object and nothing\)/,
    ],
    [
      'a normalizer nobody knows',
      { ...tiny, normalizer: { type: 'Shout' } },
      /Unknown Normalizer type: Shout/,
    ],
  ])('with %s is refused as BAD_FILE', (_, json, message) => {
    expect(() => load({ tokenizerJson: json })).toThrow(
      expect.objectContaining({ code: 'BAD_FILE', message: expect.stringMatching(message) as string }),
    );
  });
});
