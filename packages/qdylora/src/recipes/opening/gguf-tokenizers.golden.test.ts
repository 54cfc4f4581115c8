import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import {
  hfConfigOf,
  openCheckpoint,
  openByteSource,
  readGguf,
  writeGguf,
  writeGgufModel,
  type GgufToWrite,
} from '@qdylora/checkpoint';
import { loadTokenizer } from '@qdylora/data';
import { goldenSums, sharedPath } from '@qdylora/testing/node';
import { describe, expect, test } from 'vitest';
import { temporaryPlace } from '../../../test/tiny-model.ts';

/** Vocabularies in GGUF files, and the ids that llama.cpp gives; see the README beside them. */
interface Vocabulary {
  readonly tokens: string[];
  readonly merges?: string[];
  readonly scores?: number[];
  readonly types?: number[];
}
type MetadataValue = GgufToWrite['metadata'] extends ReadonlyMap<string, infer V> ? V : never;
const FOLDER = fileURLToPath(new URL('../../../fixtures/gguf-tokenizers/', import.meta.url));
const golden = JSON.parse(gunzipSync(readFileSync(`${FOLDER}golden.json.gz`)).toString('utf8')) as {
  readonly texts: readonly string[];
  readonly vocabularies: Readonly<Record<'bpe' | 'spm' | 'unigram', Vocabulary>>;
  readonly ids: Readonly<Record<string, number[][]>>;
  readonly tokenizers: Readonly<Record<string, number[][]>>;
  readonly sentencepiece: { readonly unigram: number[][] };
};
const folder = temporaryPlace();
const NORMAL = 1;

/** The kind of a tokenizer: `tokenizer.ggml.model` and `tokenizer.ggml.pre`. */
interface TokenizerKind {
  readonly model: string;
  readonly pre?: string;
}

/** The metadata of one small model with this vocabulary. */
function metadataOf(
  { model, pre }: TokenizerKind,
  { tokens, merges, scores, types }: Vocabulary,
): Map<string, MetadataValue> {
  const numbers = {
    context_length: 64,
    embedding_length: 8,
    block_count: 1,
    feed_forward_length: 8,
    'attention.head_count': 1,
  };
  const metadata = new Map<string, MetadataValue>([
    ['general.architecture', { text: 'llama' }],
    ...Object.entries(numbers).map(([key, u32]): [string, MetadataValue] => [`llama.${key}`, { u32 }]),
    ['llama.attention.layer_norm_rms_epsilon', { f32: 1e-5 }],
    ['tokenizer.ggml.model', { text: model }],
  ]);
  if (pre) metadata.set('tokenizer.ggml.pre', { text: pre });
  metadata.set('tokenizer.ggml.tokens', { texts: tokens });
  metadata.set('tokenizer.ggml.token_type', { i32s: types ?? tokens.map(() => NORMAL) });
  if (merges) metadata.set('tokenizer.ggml.merges', { texts: merges });
  if (scores) metadata.set('tokenizer.ggml.scores', { f32s: scores });
  if (types) {
    metadata.set('tokenizer.ggml.unknown_token_id', { u32: 0 });
    metadata.set('tokenizer.ggml.bos_token_id', { u32: 1 });
    metadata.set('tokenizer.ggml.eos_token_id', { u32: 2 });
  }
  if (model === 't5') {
    metadata.set('tokenizer.ggml.add_space_prefix', { bool: true });
    metadata.set('tokenizer.ggml.remove_extra_whitespaces', { bool: true });
  }
  return metadata;
}

/** The tokenizer of a GGUF file of one small model with this vocabulary. */
async function tokenizerOf(name: string, model: string, vocabulary: Vocabulary, pre?: string) {
  const path = folder.in(`${name}.gguf`);
  const rows = vocabulary.tokens.length;
  await writeGguf(path, {
    metadata: metadataOf({ model, pre }, vocabulary),
    tensors: [
      { name: 'token_embd.weight', type: 'F32', shape: [rows, 8], bytes: () => new Uint8Array(rows * 32) },
    ],
  });
  using checkpoint = await openCheckpoint(path);
  const {
    tokenizerJson,
    tokenizerConfig,
    specialTokens: { bos, eos },
  } = checkpoint.tokenizerFiles;
  return loadTokenizer({
    tokenizerJson,
    tokenizerConfig,
    chatTemplate: null,
    specialTokens: { bos: bos ?? undefined, eos: eos ?? undefined },
  });
}

/** Texts on which ids differ. */
function differing(
  encode: (text: string) => number[],
  want: readonly number[][],
  skip: (text: string) => boolean = () => false,
): string[] {
  return golden.texts.filter((text, i) => !skip(text) && encode(text).join() !== want[i].join());
}

/**
 * Where llama.cpp only comes near to the tokenizers that its names stand for; there Hugging Face's own
 * library is the judge.
 */
const isNear: Readonly<Record<string, (text: string) => boolean>> = {
  ...Object.fromEntries(
    ['tekken', 'gpt-4o', 'llama4'].map((pre) => [pre, (text: string) => /\p{M}/u.test(text)]),
  ), // it knows no marks in their words
  falcon: (text) => /[^\x00-\x7f]/.test(text), // it splits characters, not bytes
  ...Object.fromEntries(
    ['qwen2', 'deepseek-r1-qwen', 'megrez', 'olmo'].map((pre) => [
      pre,
      (text: string) => text.normalize('NFC') !== text,
    ]),
  ), // it composes no characters
};

test('the golden file has the hash of SHA256SUMS', () => {
  for (const { file, said, hash } of goldenSums(FOLDER)) expect(hash, file).toBe(said);
});

describe('byte-level BPE, split as tokenizer.ggml.pre says', () => {
  const { bpe, unigram, spm } = golden.vocabularies;
  const kinds = Object.keys(golden.ids).filter((name) => name !== 'spm' && name !== 'unigram');

  test.each(kinds)('%s: the ids are those of llama.cpp', async (pre) => {
    const { encode } = await tokenizerOf(pre, 'gpt2', bpe, pre);
    expect(differing(encode, golden.ids[pre], isNear[pre])).toEqual([]);
  });

  test.each(Object.keys(golden.tokenizers))(
    "%s: the ids are those of Hugging Face's tokenizers, on every text",
    async (pre) => {
      const { encode } = await tokenizerOf(`${pre}-python`, 'gpt2', bpe, pre);
      expect(differing(encode, golden.tokenizers[pre])).toEqual([]);
    },
  );

  test('the kinds differ on these texts, so that a wrong one is seen', () => {
    const kindsOfIds = new Set(kinds.map((pre) => JSON.stringify(golden.ids[pre])));
    expect(kindsOfIds.size).toBeGreaterThanOrEqual(8);
  });

  test('SentencePiece, BPE kind: the ids are those of llama.cpp', async () => {
    const { encode, decode } = await tokenizerOf('spm', 'llama', spm);
    expect(differing(encode, golden.ids.spm!)).toEqual([]);
    for (const text of golden.texts.filter((text) => !text.includes('\u2581')))
      expect(decode(encode(text), { skipSpecialTokens: true })).toBe(text);
  });

  test(
    'SentencePiece, Unigram kind: the ids are those of sentencepiece itself, and end with the end token ' +
      'where asked',
    async () => {
      const { encode, eosId } = await tokenizerOf('unigram', 't5', unigram);
      expect(differing(encode, golden.sentencepiece.unigram)).toEqual([]);
      expect(encode('a', { addSpecialTokens: true }).at(-1)).toBe(eosId);
    },
  );
});

describe('a tokenizer.json written into a GGUF file', () => {
  const packageFolder = fileURLToPath(new URL('../../../../data/fixtures/', import.meta.url));
  const shared = sharedPath('fixtures/tokenizers/');
  const CASES: readonly (readonly [string, string | null, string, string])[] = [
    ['smollm2', packageFolder, 'gpt2', 'smollm'],
    ['tiny-llama3-style', packageFolder, 'gpt2', 'llama-bpe'],
    ['tiny-llama2-style', packageFolder, 'llama', 'default'],
    ['gpt2', shared, 'gpt2', 'gpt-2'],
    ['qwen2.5', shared, 'gpt2', 'qwen2'],
  ];

  test.for(CASES)(
    "%s: has the words of llama.cpp's converter, and comes back with the ids of Hugging Face's tokenizers",
    async ([name, from, model, pre], { skip }) => {
      skip(from === null, 'shared/fixtures is not beside the checkout');
      const tokenizerJson = JSON.parse(
        gunzipSync(readFileSync(`${from}${name}.tokenizer.json.gz`)).toString('utf8'),
      ) as { model: { vocab: Record<string, number> }; added_tokens: { id: number }[] };
      const { texts } = JSON.parse(readFileSync(`${from}${name}.expected.json`, 'utf8')) as {
        texts: { text: string; ids: number[] }[];
      };
      const vocabularySize =
        1 +
        [
          ...Object.values(tokenizerJson.model.vocab),
          ...tokenizerJson.added_tokens.map(({ id }) => id),
        ].reduce((most, id) => Math.max(most, id), 0);
      const path = folder.in(`written-${name}.gguf`);
      const config = hfConfigOf('config.json', {
        model_type: 'llama',
        vocab_size: vocabularySize,
        hidden_size: 2,
        intermediate_size: 2,
        num_hidden_layers: 1,
        num_attention_heads: 1,
        rms_norm_eps: 1e-5,
        max_position_embeddings: 64,
      });
      await writeGgufModel(path, {
        name,
        config,
        type: 'F32',
        tensors: [
          {
            name: 'model.embed_tokens.weight',
            shape: [vocabularySize, 2],
            values: () => new Float32Array(2 * vocabularySize),
          },
        ],
        tokenizer: {
          tokenizerJson,
          tokenizerConfig: {},
          chatTemplate: null,
          toolTemplate: null,
          specialTokens: { bos: null, eos: null, pad: null },
        },
      });
      const source = openByteSource(path, 'gguf');
      const { metadata } = readGguf(source);
      source.close();
      expect([metadata.get('tokenizer.ggml.model'), metadata.get('tokenizer.ggml.pre')]).toEqual([
        model,
        pre,
      ]);
      using checkpoint = await openCheckpoint(path);
      const { encode } = loadTokenizer({
        tokenizerJson: checkpoint.tokenizerFiles.tokenizerJson,
        tokenizerConfig: {},
        chatTemplate: null,
      });
      for (const { text, ids } of texts) expect(encode(text), text).toEqual(ids);
    },
  );
});
