import { describe, expect, it } from 'vitest';
import { hfConfigOf } from '../../config/hf-config.ts';
import type { SpecialTokens, TokenizerFiles } from '../../tokenizer/tokenizer-files.ts';
import { tokenizerMetadata } from './tokenizer-metadata.ts';

const MARK = '▁';
const PREPEND = { type: 'Prepend', prepend: MARK };
const REPLACE = { type: 'Replace', pattern: { String: ' ' }, content: MARK };

/** Metadata of a tokenizer in the style of SentencePiece, of three tokens and an added one. */
function metadataOf(
  parts: Readonly<Record<string, unknown>>,
  {
    vocabularySize = 4,
    config = {},
    ...otherFiles
  }: Partial<TokenizerFiles> & {
    readonly vocabularySize?: number;
    readonly config?: Readonly<Record<string, unknown>>;
  } = {},
): ReadonlyMap<string, unknown> {
  const files = {
    tokenizerJson: {
      model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'], byte_fallback: true },
      added_tokens: [{ id: 3, content: '<image>', special: true }],
      ...parts,
    },
    tokenizerConfig: null,
    chatTemplate: null,
    toolTemplate: null,
    specialTokens: { bos: null, eos: null, pad: null },
    ...otherFiles,
  } as unknown as TokenizerFiles;
  return new Map(
    tokenizerMetadata(files, hfConfigOf('config.json', { model_type: 'llama', ...config }), vocabularySize),
  );
}

const BYTE_LEVEL = { pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false } };
const TOKENS = 'tokenizer.ggml.tokens';
const ADDS_SPACE = 'tokenizer.ggml.add_space_prefix';

describe('a tokenizer in a GGUF file', () => {
  it.each([
    [{ normalizer: { type: 'Sequence', normalizers: [PREPEND, REPLACE] } }, true],
    [{ normalizer: REPLACE }, false],
    [{ pre_tokenizer: { type: 'Metaspace', replacement: MARK } }, true],
    [{ pre_tokenizer: { type: 'Metaspace', replacement: MARK, add_prefix_space: false } }, false],
    [{ pre_tokenizer: { type: 'Metaspace', replacement: MARK, prepend_scheme: 'never' } }, false],
    [{ pre_tokenizer: { type: 'Metaspace', replacement: MARK, prepend_scheme: 'first' } }, true],
  ])('marks the first word as %j does: %s', (parts, expected) => {
    expect(metadataOf(parts).get(ADDS_SPACE)).toEqual({ bool: expected });
  });

  it('marks the first word of a Llama tokenizer as its config says, whatever its normalizer does', () => {
    const prepends = { type: 'Sequence', normalizers: [PREPEND, REPLACE] };
    const marksOf = (normalizer: object, config: object): unknown[] =>
      ['LlamaTokenizer', 'LlamaTokenizerFast', 'PreTrainedTokenizerFast'].map((name) =>
        metadataOf({ normalizer }, { tokenizerConfig: { ...config, tokenizer_class: name } }).get(ADDS_SPACE),
      );
    const marked = { bool: true };
    const unmarked = { bool: false };
    expect(marksOf(prepends, { add_prefix_space: false })).toEqual([unmarked, unmarked, marked]);
    expect(marksOf(REPLACE, {})).toEqual([marked, marked, unmarked]);
    expect(marksOf(REPLACE, { add_prefix_space: null })).toEqual([marked, marked, unmarked]);
  });

  it('takes ids of special tokens from the config where they are tokens', () => {
    const ids = { bos_token_id: 1, eos_token_id: 4, pad_token_id: -1 };
    const metadata = metadataOf({}, { config: ids });
    expect(['bos', 'eos', 'padding'].map((name) => metadata.get(`tokenizer.ggml.${name}_token_id`))).toEqual([
      { u32: 1 },
      undefined,
      undefined,
    ]);
  });

  it('has no normalizer that llama.cpp does not know', () => {
    expect(() =>
      metadataOf({ normalizer: { type: 'Sequence', normalizers: [{ type: 'NFKC' }, REPLACE] } }),
    ).toThrow(/normalizer that only marks spaces with ▁ .got .*NFKC/);
  });

  it('has a space for each ▁ of a token that the user defined, but not of a special one', () => {
    const added = (special: boolean): unknown =>
      metadataOf({ added_tokens: [{ id: 3, content: '▁▁', special }] }).get('tokenizer.ggml.tokens');
    expect([added(false), added(true)]).toEqual([
      { texts: ['a', 'b', 'ab', '  '] },
      { texts: ['a', 'b', 'ab', '▁▁'] },
    ]);
  });

  it('has the type of control for an added token that looks special, whether it says so or not', () => {
    const typeOf = (content: string): unknown =>
      (
        metadataOf({ added_tokens: [{ id: 3, content, special: false }] }).get(
          'tokenizer.ggml.token_type',
        ) as { i32s: number[] }
      ).i32s[3];
    const control = [
      '<|fim_prefix|>',
      '<｜fim▁hole｜>',
      '<unused7>',
      '<pad>',
      '<mask>',
      '<2mass>',
      '[@BOS@]',
    ];
    expect(control.map(typeOf)).toEqual(control.map(() => 3));
    expect(['<tool>', 'x<pad>', '<|x', 'a\n<|x|>'].map(typeOf)).toEqual([4, 4, 4, 4]);
    expect(metadataOf({ added_tokens: [{ id: 3, content: '<｜a▁b｜>' }] }).get(TOKENS)).toEqual({
      texts: ['a', 'b', 'ab', '<｜a▁b｜>'],
    });
  });

  it('has the unknown token of the config if the model has none, and is not byte-level', () => {
    const typesOf = (changes: object, tokenizerConfig: Readonly<Record<string, unknown>>) => {
      const model = { type: 'BPE', vocab: { a: 0, b: 1, ab: 2, '<unk>': 3 }, merges: [], ...changes };
      const parts = { model, added_tokens: [{ id: 3, content: '<unk>', special: true }], ...BYTE_LEVEL };
      const metadata = metadataOf(parts, { tokenizerConfig });
      const { i32s } = metadata.get('tokenizer.ggml.token_type') as { i32s: number[] };
      return [i32s[3], metadata.get('tokenizer.ggml.unknown_token_id')];
    };
    const config = { unk_token: { content: '<unk>' } };
    expect(typesOf({ byte_fallback: true, unk_token: null }, config)).toEqual([2, { u32: 3 }]);
    expect(typesOf({ byte_fallback: true, unk_token: '<unk>' }, {})).toEqual([2, { u32: 3 }]);
    expect(typesOf({ byte_fallback: true, unk_token: null }, {})).toEqual([3, undefined]);
    expect(typesOf({ byte_fallback: false, unk_token: null }, config)).toEqual([3, undefined]);
  });

  it('has the template for conversations with tools, and its name', () => {
    const templates = { chatTemplate: 'chat', toolTemplate: 'tools' };
    const metadata = metadataOf({}, templates);
    expect([...metadata].filter(([key]) => key.includes('chat_template'))).toEqual([
      ['tokenizer.chat_template', { text: 'chat' }],
      ['tokenizer.chat_templates', { texts: ['tool_use'] }],
      ['tokenizer.chat_template.tool_use', { text: 'tools' }],
    ]);
  });

  it('leaves an added token out for which the model has no embedding', () => {
    const tokens = (size: number): unknown =>
      (
        metadataOf({ normalizer: REPLACE }, { vocabularySize: size }).get('tokenizer.ggml.tokens') as {
          texts: string[];
        }
      ).texts;
    expect([tokens(4), tokens(3)]).toEqual([
      ['a', 'b', 'ab', '<image>'],
      ['a', 'b', 'ab'],
    ]);
    expect(() => tokens(2)).toThrow(/at most 2 tokens/);
  });
});

describe('the tokens that are added to a text, in a GGUF file', () => {
  const A = { Sequence: { id: 'A', type_id: 0 } };
  const token = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const template = (...single: unknown[]) => ({ type: 'TemplateProcessing', single });
  const sequence = (...processors: unknown[]) => ({ type: 'Sequence', processors });
  const BYTES = { type: 'ByteLevel', trim_offsets: true };
  /** The ids and flags of the begin and end token, where `a` begins and `b` ends a text. */
  const around = (
    processor: unknown,
    specialTokens: SpecialTokens = { bos: 'a', eos: 'b', pad: null },
    config: Readonly<Record<string, unknown>> = {},
  ) => {
    const metadata = metadataOf({ post_processor: processor }, { specialTokens, config });
    return ['bos_token_id', 'add_bos_token', 'eos_token_id', 'add_eos_token'].map((key) =>
      Object.values((metadata.get(`tokenizer.ggml.${key}`) as object | undefined) ?? {}).at(0),
    );
  };

  it.each([
    [null, false, false],
    [BYTES, false, false],
    [template(A), false, false],
    [template(token('a'), A), true, false],
    [template(A, token('b')), false, true],
    [template(token('a'), A, token('b')), true, true],
    [sequence(BYTES, template(token('a'), A, token('b'))), true, true],
    [sequence(template(token('a'), A), sequence(template(A, token('b')))), true, true],
  ])('of %j: begin %s, end %s', (processor, begin, end) => {
    expect(around(processor)).toEqual([0, begin, 1, end]);
  });

  it('one that begins and ends a text is told by its place', () => {
    const special = { bos: 'a', eos: 'a', pad: null };
    expect(around(template(A, token('a')), special)).toEqual([0, false, 0, true]);
    expect(around(template(token('a'), A), special)).toEqual([0, true, 0, false]);
  });

  it('are the begin and end token of a tokenizer that names none', () => {
    const special = { bos: null, eos: null, pad: null };
    const config = { bos_token_id: 0, eos_token_id: 1 }; // of other tokens
    expect(around(template(token('b'), A, token('ab')), special, config)).toEqual([1, true, 2, true]);
    expect(around(template(A), special, config)).toEqual([0, false, 1, false]);
  });

  it('are refused if they are other tokens, or more', () => {
    const refused: readonly [unknown, string][] = [
      [template(token('b'), A), '"b"'],
      [template(A, token('a')), '"a"'],
      [template(token('a'), token('a'), A), '"a a"'],
      [sequence(template(A, token('b')), template(A, token('ab'))), '"b ab"'],
      [template(A, token('b'), A), 'another kind'],
      [template(token('a')), 'another kind'],
      [sequence(BYTES, { type: 'RobertaProcessing', sep: ['b', 1], cls: ['a', 0] }), 'another kind'],
    ];
    for (const [processor, got] of refused)
      expect(() => around(processor)).toThrow(
        `a post-processor that adds at most the begin token in front of a text and the end token behind it ` +
          `(got ${got})`,
      );
    const special = { bos: null, eos: null, pad: null };
    expect(() => around(template(token('<none>'), A), special)).toThrow('(got "<none>")');
  });
});
