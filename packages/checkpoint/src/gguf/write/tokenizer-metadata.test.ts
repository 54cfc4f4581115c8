import { describe, expect, it } from 'vitest';
import { hfConfigOf } from '../../config/hf-config.ts';
import type { TokenizerFiles } from '../../tokenizer/tokenizer-files.ts';
import { tokenizerMetadata } from './tokenizer-metadata.ts';

const MARK = '▁';
const PREPEND = { type: 'Prepend', prepend: MARK };
const REPLACE = { type: 'Replace', pattern: { String: ' ' }, content: MARK };

/** Metadata of a tokenizer in the style of SentencePiece, of three tokens and an added one. */
function metadataOf(
  parts: Readonly<Record<string, unknown>>,
  tokenizerConfig: Readonly<Record<string, unknown>> | null = null,
  vocabularySize = 4,
  config: Readonly<Record<string, unknown>> = {},
): ReadonlyMap<string, unknown> {
  const files = {
    tokenizerJson: {
      model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'], byte_fallback: true },
      added_tokens: [{ id: 3, content: '<image>', special: true }],
      ...parts,
    },
    tokenizerConfig,
    chatTemplate: null,
    specialTokens: { bos: null, eos: null, pad: null },
  } as unknown as TokenizerFiles;
  return new Map(
    tokenizerMetadata(files, hfConfigOf('config.json', { model_type: 'llama', ...config }), vocabularySize),
  );
}

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

  it('marks no first word where the config of a Llama tokenizer says so', () => {
    const parts = { normalizer: { type: 'Sequence', normalizers: [PREPEND, REPLACE] } };
    const config = { add_prefix_space: false };
    const of = (name: string): unknown =>
      metadataOf(parts, { ...config, tokenizer_class: name }).get(ADDS_SPACE);
    expect([of('LlamaTokenizer'), of('LlamaTokenizerFast'), of('PreTrainedTokenizerFast')]).toEqual([
      { bool: false },
      { bool: false },
      { bool: true },
    ]);
  });

  it('takes ids of special tokens from the config where they are tokens', () => {
    const ids = { bos_token_id: 1, eos_token_id: 4, pad_token_id: -1 };
    const metadata = metadataOf({}, null, 4, ids);
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

  it('leaves an added token out for which the model has no embedding', () => {
    const tokens = (size: number): unknown =>
      (metadataOf({ normalizer: REPLACE }, null, size).get('tokenizer.ggml.tokens') as { texts: string[] })
        .texts;
    expect([tokens(4), tokens(3)]).toEqual([
      ['a', 'b', 'ab', '<image>'],
      ['a', 'b', 'ab'],
    ]);
    expect(() => tokens(2)).toThrow(/at most 2 tokens/);
  });
});
