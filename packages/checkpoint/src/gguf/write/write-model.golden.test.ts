import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { hfConfigOf } from '../../config/hf-config.ts';
import { openCheckpoint } from '../../open-checkpoint.ts';
import { openByteSource, readBytes } from '../../read/byte-source.ts';
import { openSafetensors } from '../../safetensors/open-safetensors.ts';
import { errorOf } from '../../test-support/error-of.ts';
import { fixturePath } from '../../test-support/fixture-path.ts';
import { ggufEntry } from '../gguf-entry.ts';
import { readGguf } from '../file/read-gguf.ts';
import { preTokenizerName } from '../tokenizer/pre-tokenizers.ts';
import { encodeValues } from './encode-values.ts';
import { writeGgufModel } from './write-model.ts';

const root = temporaryFolder();
const CASES = [
  'llama-gqa',
  'llama-bias',
  'qwen2',
  'qwen3',
  'gemma',
  'gemma2',
  'gemma3-seven-layers',
  'falcon-7b',
  'falcon-40b',
  'falcon-11b',
  'gpt2',
  'gpt-neox-parallel',
  'gpt-neox-sequential',
  'phi3',
];

/** Writes what `openCheckpoint` reads, under our own name. */
async function rewritten(fixture: string, type: 'F32' | 'F16' | 'BF16' | 'Q8_0'): Promise<string> {
  using checkpoint = await openCheckpoint(fixturePath(fixture));
  const path = join(root, `${fixture.replaceAll('/', '-')}-${type}.gguf`);
  const { config, tensors, tokenizerFiles } = checkpoint;
  await writeGgufModel(path, {
    name: 'again',
    config,
    tokenizer: tokenizerFiles,
    type,
    tensors: [...tensors.values()].map((entry) => ({
      name: entry.name,
      shape: entry.shape,
      values: () => entry.readFloat32(),
    })),
  });
  return path;
}

function contents(path: string) {
  const source = openByteSource(path, 'gguf');
  const { metadata, tensors } = readGguf(source);
  const bytes = new Map(
    [...tensors.values()].map(({ name, type, shape, begin, byteLength }) => [
      name,
      { type: type.name, shape, bytes: readBytes(source, begin, byteLength) },
    ]),
  );
  source.close();
  return { metadata, bytes };
}

describe('a model written as GGUF', () => {
  for (const name of CASES) {
    it(`${name}: in F32 every tensor and key is that of llama.cpp's own converter`, async () => {
      const ours = contents(await rewritten(`gguf-architectures/${name}.gguf`, 'F32'));
      const theirs = contents(fixturePath(`gguf-architectures/${name}.gguf`));
      expect([...ours.bytes.keys()].sort()).toEqual([...theirs.bytes.keys()].sort());
      for (const [key, tensor] of theirs.bytes) {
        if (!name.startsWith('gemma') || !key.endsWith('norm.weight'))
          expect(ours.bytes.get(key), key).toEqual(tensor); // taking 1 away and adding it again may round
        else expect(ours.bytes.get(key)!.shape).toEqual(tensor.shape);
      }
      for (const [key, value] of theirs.metadata)
        if (!key.startsWith('general.')) expect(ours.metadata.get(key), key).toEqual(value);
    });
  }

  it('in F16, BF16 and Q8_0 vectors stay F32, and what Q8_0 cannot hold becomes F16', async () => {
    for (const type of ['F16', 'BF16', 'Q8_0'] as const) {
      const { bytes } = contents(await rewritten('gguf-architectures/llama-gqa.gguf', type));
      expect(bytes.get('blk.0.attn_norm.weight')!.type).toBe('F32');
      expect(bytes.get('blk.0.attn_q.weight')!.type).toBe(type); // 32 columns
      expect(bytes.get('blk.0.ffn_down.weight')!.type).toBe(type === 'Q8_0' ? 'F16' : type); // 36 columns
    }
  });

  it(
    'the kind of text splitting is known by what decides ids: not by offsets, and by whether whole pieces ' +
      'are taken as they are',
    () => {
      const level = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false };
      const splitBy = (digits: string) => ({
        type: 'Sequence',
        pretokenizers: [
          {
            type: 'Split',
            pattern: {
              Regex:
                `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${digits}| ` +
                `?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
            },
            behavior: 'Isolated',
          },
          level,
        ],
      });
      // as Qwen's own tokenizer.json has it
      expect(preTokenizerName({ type: 'NFC' }, splitBy(''), false)).toBe('qwen2');
      expect(
        [true, false].map((ignoreMerges) => preTokenizerName(null, splitBy('{1,3}'), ignoreMerges)),
      ).toEqual(['llama-bpe', 'dbrx']);
      expect(
        preTokenizerName(null, { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true }, false),
      ).toBe('gpt-2');
      expect(
        errorOf(() => preTokenizerName({ type: 'NFC' }, splitBy(''), true), 'UNSUPPORTED').message,
      ).toMatch(/ignore_merges true, but llama\.cpp uses false where text is split as qwen2, /);
      expect(
        errorOf(() => preTokenizerName(null, { type: 'Whitespace' }, false), 'UNSUPPORTED').message,
      ).toMatch(/gpt-2, .*tekken/);
    },
  );

  it('the tokenizer comes back as it was', async () => {
    const path = await rewritten('gguf/llama-mixed.gguf', 'F16');
    using ours = await openCheckpoint(path);
    using original = await openCheckpoint(fixturePath('gguf/llama-mixed.gguf'));
    expect(ours.tokenizerFiles.tokenizerJson).toEqual(original.tokenizerFiles.tokenizerJson);
    expect(ours.tokenizerFiles.specialTokens).toEqual(original.tokenizerFiles.specialTokens);
    expect(ours.tokenizerFiles.chatTemplate).toBe(original.tokenizerFiles.chatTemplate);
    expect(ours.generation).toEqual(original.generation);
  });

  it("Llama 3 frequency divisors are written as a tensor, equal to the converter's", async () => {
    const raw = {
      model_type: 'llama',
      vocab_size: 4,
      hidden_size: 32,
      intermediate_size: 4,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      num_key_value_heads: 1,
      head_dim: 16,
      rms_norm_eps: 1e-5,
      max_position_embeddings: 128,
      rope_parameters: {
        rope_type: 'llama3',
        rope_theta: 10000,
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 32,
      },
    };
    await writeGgufModel(join(root, 'llama3.gguf'), {
      name: 'x',
      config: hfConfigOf('config.json', raw),
      tokenizer: null,
      type: 'F32',
      tensors: [{ name: 'model.embed_tokens.weight', shape: [4, 32], values: () => new Float32Array(128) }],
    });
    using ours = await openCheckpoint(join(root, 'llama3.gguf'));
    using theirs = await openCheckpoint(fixturePath('gguf/llama-rope-freqs.gguf'));
    ours.config.rope.factors!.forEach((value, i) =>
      expect(Math.abs(value / theirs.config.rope.factors![i] - 1)).toBeLessThan(2 ** -22),
    );
  });

  it('GPT-NeoX keeps its rotary share, whose default is a quarter', async () => {
    for (const share of [1, 0.5]) {
      const raw = {
        model_type: 'gpt_neox',
        vocab_size: 4,
        hidden_size: 32,
        intermediate_size: 4,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        layer_norm_eps: 1e-5,
        max_position_embeddings: 128,
        rotary_pct: share,
      };
      const path = join(root, `neox-${share}.gguf`);
      await writeGgufModel(path, {
        name: 'x',
        config: hfConfigOf('config.json', raw),
        tokenizer: null,
        type: 'F32',
        tensors: [{ name: 'gpt_neox.embed_in.weight', shape: [4, 32], values: () => new Float32Array(128) }],
      });
      using again = await openCheckpoint(path);
      expect((again.config.raw.rope_parameters as Record<string, unknown>).partial_rotary_factor).toBe(share);
    }
  });

  it('Mistral is written as Llama, and promises no longer texts than its window sees', async () => {
    const raw = {
      model_type: 'mistral',
      vocab_size: 4,
      hidden_size: 32,
      intermediate_size: 4,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      num_key_value_heads: 1,
      rms_norm_eps: 1e-5,
      max_position_embeddings: 32768,
      rope_theta: 10000,
    };
    for (const [window, length] of [
      [{ sliding_window: 128 }, 128],
      [{ sliding_window: null }, 32768],
      [{}, 4096],
    ] as const) {
      const path = join(root, `mistral-${length}.gguf`);
      await writeGgufModel(path, {
        name: 'x',
        config: hfConfigOf('config.json', { ...raw, ...window }),
        tokenizer: null,
        type: 'F32',
        tensors: [{ name: 'model.embed_tokens.weight', shape: [4, 32], values: () => new Float32Array(128) }],
      });
      using again = await openCheckpoint(path);
      expect([
        again.config.modelType,
        again.config.integer('max_position_embeddings'),
        again.config.integer('num_key_value_heads'),
      ]).toEqual(['llama', length, 1]);
    }
  });

  it('Phi-3, whose window llama.cpp leaves out, promises no longer texts than that', async () => {
    const raw = {
      model_type: 'phi3',
      vocab_size: 4,
      hidden_size: 32,
      intermediate_size: 4,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      num_key_value_heads: 1,
      rms_norm_eps: 1e-5,
      max_position_embeddings: 4096,
    };
    for (const [window, length] of [
      [{ sliding_window: 2047 }, 2047],
      [{ sliding_window: 262144 }, 4096],
      [{ sliding_window: null }, 4096],
      [{}, 4096],
    ] as const) {
      const path = join(root, 'phi3.gguf');
      await writeGgufModel(path, {
        name: 'x',
        config: hfConfigOf('config.json', { ...raw, ...window }),
        tokenizer: null,
        type: 'F32',
        tensors: [{ name: 'model.embed_tokens.weight', shape: [4, 32], values: () => new Float32Array(128) }],
      });
      using again = await openCheckpoint(path);
      expect(again.config.integer('max_position_embeddings')).toBe(length);
    }
  });
});

describe('Q8_0', () => {
  it("has the bytes of ggml's quantizer, awkward blocks included", () => {
    const source = openByteSource(fixturePath('gguf/every-type.gguf'), 'gguf');
    const { tensors } = readGguf(source);
    using expected = openSafetensors(fixturePath('gguf/every-type.expected.safetensors'));
    for (const type of ['Q8_0', 'F16', 'BF16'] as const) {
      expect(encodeValues(expected.tensors.get('source')!.readFloat32(), type), type).toEqual(
        ggufEntry(source, tensors.get(`quantized.${type}`)!).readBytes(),
      );
    }
    source.close();
  });
});
