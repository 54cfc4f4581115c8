import { readFileSync } from 'node:fs';
import {
  BPE,
  ByteFallbackDecoder,
  ByteLevelPreTokenizer,
  LowercaseNormalizer,
  MetaspaceDecoder,
  PrecompiledNormalizer,
  SequenceDecoder,
  SequenceNormalizer,
  SequencePreTokenizer,
  SplitPreTokenizer,
  Tokenizer,
  Unigram,
} from '@huggingface/tokenizers';
import { expect, it } from 'vitest';

const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
const library = new Tokenizer(
  {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [BYTE_LEVEL] },
    post_processor: null,
    decoder: {
      type: 'Sequence',
      decoders: [{ type: 'ByteFallback' }, { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' }],
    },
    model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: [['a', 'b']] },
  },
  {},
);

it('@huggingface/tokenizers is pinned to one version', () => {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  const { dependencies } = JSON.parse(text) as { dependencies: Record<string, string> };
  expect(dependencies['@huggingface/tokenizers']).toBe('0.2.0');
});

it('a sequence shows the parts inside it', () => {
  expect((library.pre_tokenizer as SequencePreTokenizer).tokenizers[0]).toBeInstanceOf(ByteLevelPreTokenizer);
  const { decoders } = library.decoder as SequenceDecoder;
  expect(decoders[0]).toBeInstanceOf(ByteFallbackDecoder);
  expect(decoders[1]).toBeInstanceOf(MetaspaceDecoder);
});

it('the byte-level pre-tokenizer reads its pattern, its encoder and its spelling when it is called', () => {
  const part = (library.pre_tokenizer as SequencePreTokenizer).tokenizers[0] as ByteLevelPreTokenizer;
  expect(part.pattern).toBeInstanceOf(RegExp);
  expect(part.pattern.source).toContain('\\s');
  expect(part.text_encoder).toBeInstanceOf(TextEncoder);
  expect(part.byte_encoder[32]).toBe('Ġ');
  expect([part.add_prefix_space, part.use_regex]).toEqual([false, true]);
  part.pre_tokenize_text = (text) => [text, text];
  expect(library.pre_tokenizer!('a')).toEqual(['a', 'a']);
});

it('decoders call the functions that are replaced', () => {
  const [bytes, marks] = (library.decoder as SequenceDecoder).decoders as [
    ByteFallbackDecoder,
    MetaspaceDecoder,
  ];
  bytes.text_decoder = { decode: () => 'X' } as unknown as ByteFallbackDecoder['text_decoder'];
  expect(bytes.decode_chain(['<0x61>'])).toEqual(['X']);
  expect(marks.replacement).toBe('▁');
  expect(marks.config).toMatchObject({ prepend_scheme: 'always' });
  marks.decode_chain = () => ['Y'];
  expect((library.decoder as SequenceDecoder).decode_chain(['a'])).toEqual(['Y']);
});

it('byte pair encoding asks a cache and merges by a method, both of which can be replaced', () => {
  const model = library.model as BPE;
  expect(model).toBeInstanceOf(BPE);
  expect([...model.tokens_to_ids]).toEqual([
    ['a', 0],
    ['b', 1],
    ['ab', 2],
  ]);
  expect([model.vocab, model.merges]).toEqual([['a', 'b', 'ab'], [['a', 'b']]]);
  expect(model.end_of_word_suffix ?? model.continuing_subword_suffix ?? null).toBeNull();
  const lookups: string[] = [];
  model.cache = {
    get: (key: string) => void lookups.push(key),
    put: () => {},
    clear: () => {},
  } as unknown as BPE['cache'];
  expect(model.encode(['ab'])).toEqual(['ab']);
  expect(lookups).toEqual(['ab']);
  model.bpe = () => ['b'];
  expect(model.encode(['ab'])).toEqual(['b']);
});

it('a precompiled map is kept as it is in the file', () => {
  expect(new PrecompiledNormalizer({ type: 'Precompiled', precompiled_charsmap: 'AAAA' }).charsmap).toBe(
    'AAAA',
  );
});

it('a normalizer, the call of a model and the decoding of a text can be replaced', () => {
  const lower = { type: 'Lowercase' };
  const other = new Tokenizer(
    {
      added_tokens: [{ id: 3, content: 'Ab', normalized: true, special: false }],
      normalizer: { type: 'Sequence', normalizers: [lower] },
      pre_tokenizer: null,
      post_processor: null,
      decoder: { type: 'Fuse' },
      model: { type: 'BPE', vocab: { a: 0, b: 1, '?': 2 }, merges: [], unk_token: '?', fuse_unk: true },
    },
    {},
  );
  const [part] = (other.normalizer as SequenceNormalizer).normalizers as [LowercaseNormalizer];
  expect(part).toBeInstanceOf(LowercaseNormalizer);
  expect(other.model!.fuse_unk).toBe(true);
  const [added] = [...other.get_added_tokens_decoder().values()];
  expect([added!.content, added!.normalized, added!.special]).toEqual(['Ab', true, false]);
  part.normalize = () => 'ba';
  expect(other.encode('x').ids).toEqual([1, 0]);
  other.model!._call = () => ['a'];
  expect(other.encode('x').ids).toEqual([0]);
  other.decoder!.decode_chain = () => ['Z'];
  expect(other.decode([0])).toBe('Z');
});

it('Unigram takes each piece by a method, and a split its pattern, both of which can be replaced', () => {
  const other = new Tokenizer(
    {
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: 'Split', pattern: { Regex: 'b' }, behavior: 'Removed', invert: false },
      post_processor: null,
      decoder: null,
      model: {
        type: 'Unigram',
        vocab: [
          ['?', 0],
          ['a', -1],
        ],
        unk_id: 0,
        byte_fallback: true,
      },
    },
    {},
  );
  const model = other.model as Unigram;
  const part = other.pre_tokenizer as SplitPreTokenizer;
  expect([model.tokenize('aa'), model.encode(['a', 'a'])]).toEqual([
    ['a', 'a'],
    ['a', 'a'],
  ]);
  expect(model.config).toMatchObject({ byte_fallback: true });
  expect([part.pattern!.flags, part.config]).toEqual([
    'gu',
    { type: 'Split', pattern: { Regex: 'b' }, behavior: 'Removed', invert: false },
  ]);
  model.encode = (pieces) => pieces.map(() => 'a');
  part.pre_tokenize_text = () => ['x', 'y', 'z'];
  expect(other.encode('b').ids).toEqual([1, 1, 1]);
});

it('encode_text can be replaced, and a splitter cuts a text at the longest of its texts', () => {
  const other = new Tokenizer(
    {
      added_tokens: [{ id: 1, content: '<t>', normalized: false, special: false }],
      normalizer: null,
      pre_tokenizer: null,
      post_processor: null,
      decoder: null,
      model: { type: 'BPE', vocab: { a: 0 }, merges: [] },
    },
    {},
  );
  const members = other as unknown as {
    readonly added_tokens_map: Map<string, unknown>;
    readonly splitter_unnormalized: object;
    encode_text(text: string | null): string[] | null;
  };
  expect([...members.added_tokens_map.keys()]).toEqual(['<t>']);
  const Splitter = members.splitter_unnormalized.constructor as new (texts: string[]) => {
    split(text: string): string[];
  };
  expect(new Splitter(['<', '<t>']).split('a<t><b<t>')).toEqual(['a', '<t>', '<', 'b', '<t>']);
  expect(new Splitter([]).split('a')).toEqual(['a']);
  members.encode_text = (text) => (text === null ? null : [...text]);
  expect(other.encode('aa').ids).toEqual([0, 0]);
});
