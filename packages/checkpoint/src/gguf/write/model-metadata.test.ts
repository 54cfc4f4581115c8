import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { hfConfigOf } from '../../config/hf-config.ts';
import { openCheckpoint } from '../../open-checkpoint.ts';
import { rejectionOf } from '../../test-support/error-of.ts';
import { writeGgufModel } from './write-model.ts';

const root = temporaryFolder();

const SCALE_12 = { query_pre_attn_scalar: 12 };
const GEMMA3 = {
  model_type: 'gemma3_text',
  num_key_value_heads: 6,
  intermediate_size: 4,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-6,
};
const LLAMA = { ...GEMMA3, model_type: 'llama' };
const GPT2 = { model_type: 'gpt2', n_embd: 48, n_head: 6 };

/** Keys of a config that llama.cpp has no words for, and the error. */
const REFUSED: readonly [Record<string, unknown>, RegExp][] = [
  [{ query_pre_attn_scalar: 10 }, /cannot compute query_pre_attn_scalar 10 here, only 12\./],
  [{}, /cannot compute query_pre_attn_scalar 256 here, only 12\./], // the default of transformers
  [
    { ...SCALE_12, tie_word_embeddings: false },
    /cannot compute a separate head here, only a head that is the embedding\./,
  ],
  [{ ...SCALE_12, attention_bias: true }, /attention_bias true/],
  [{ ...SCALE_12, attn_logit_softcapping: null }, /attn_logit_softcapping null/],
  [
    { ...SCALE_12, layer_types: ['full_attention', 'sliding_attention'] },
    /these layer_types here, only full_attention in layers 2, 4, 6, … and sliding_attention in the others\./,
  ],
  [{ ...SCALE_12, hidden_activation: 'silu' }, /hidden_activation silu/],
  [{ ...SCALE_12, use_bidirectional_attention: true }, /use_bidirectional_attention true/],
  [GEMMA3, /cannot compute query_pre_attn_scalar 256 here, only 12\./],
  [{ ...GEMMA3, num_hidden_layers: 62 }, /query_pre_attn_scalar 256 here, only 8\./], // hidden / heads
  [
    { ...GEMMA3, ...SCALE_12, sliding_window_pattern: 2 },
    /only full_attention in layers 6, 12, 18, … and sliding_attention in the others\./,
  ],
  [{ ...GEMMA3, ...SCALE_12, attn_logit_softcapping: 50 }, /attn_logit_softcapping 50 here, only null\./],
  [
    {
      ...GEMMA3,
      ...SCALE_12,
      rope_parameters: { sliding_attention: { rope_type: 'linear', factor: 2 }, full_attention: {} },
    },
    /cannot compute rope type linear in layers with a window here, only default\./,
  ],
  [
    { ...GEMMA3, ...SCALE_12, rope_theta: 1e6, rope_scaling: { rope_type: 'yarn', factor: 2 } },
    /cannot compute rope type yarn here, only default or linear\./,
  ],
  [{ ...LLAMA, rope_scaling: { rope_type: 'yarn', factor: 2, truncate: false } }, /truncate: false/],
  [{ ...LLAMA, rope_scaling: { rope_type: 'yarn', factor: 2, beta_fast: 31 } }, /beta_fast than 32/],
  [{ ...LLAMA, rope_scaling: { rope_type: 'yarn', factor: 2, beta_slow: 2 } }, /beta_slow than 1 here/],
  [{ ...LLAMA, rope_scaling: { rope_type: 'yarn', factor: 2, attention_factor: 1 } }, /attention_factor/],
  [
    {
      ...LLAMA,
      model_type: 'phi3',
      head_dim: undefined,
      rope_scaling: { type: 'yarn', short_factor: [1], long_factor: [1] },
    },
    /config\.json: a model with rope type yarn cannot be written as GGUF here\. .*convert_hf_to_gguf\.py/,
  ],
  [
    { ...LLAMA, model_type: 'phi3', head_dim: undefined, rope_scaling: { rope_type: 'longrope' } },
    /a model with rope type longrope cannot be written as GGUF here/,
  ],
  [
    { ...LLAMA, model_type: 'phi3' },
    /cannot compute head_dim 12 here, only hidden_size \/ num_attention_heads/,
  ],
  [{ model_type: 'llama', hidden_act: 'gelu' }, /cannot compute hidden_act gelu here, only silu\./],
  [{ model_type: 'qwen2', use_sliding_window: true }, /use_sliding_window true/],
  [{ model_type: 'qwen3', attention_bias: true }, /attention_bias true/],
  [{ model_type: 'falcon', activation: 'relu' }, /cannot compute activation relu here, only gelu\./],
  [{ model_type: 'gpt_neox', hidden_act: 'silu' }, /hidden_act silu/],
  [{ model_type: 'gpt_neox', attention_bias: false }, /attention_bias false/],
  [{ model_type: 'gpt_neox', tie_word_embeddings: true }, /tie_word_embeddings true/],
  [{ ...GPT2, activation_function: 'gelu' }, /cannot compute activation_function gelu here, only gelu_new\./],
  [{ ...GPT2, scale_attn_weights: false }, /scale_attn_weights false/],
  [
    {
      model_type: 'qwen2',
      intermediate_size: 4,
      max_position_embeddings: 64,
      rms_norm_eps: 1e-6,
      rope_scaling: {
        rope_type: 'llama3',
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 32,
      },
    },
    /cannot compute rope type llama3 here, only default, linear or yarn\./,
  ],
];

/** Writes a Gemma 2 model whose config has other values; its one weight is the embedding. */
const writeEmpty = (raw: Record<string, unknown>, path = join(root, 'refused.gguf')): Promise<void> =>
  writeGgufModel(path, {
    name: 'x',
    config: hfConfigOf('config.json', {
      model_type: 'gemma2',
      hidden_size: 48,
      num_attention_heads: 6,
      num_hidden_layers: 2,
      head_dim: 12,
      vocab_size: 4,
      ...raw,
    }),
    tokenizer: null,
    type: 'F32',
    tensors: [{ name: 'model.embed_tokens.weight', shape: [4, 48], values: () => new Float32Array(192) }],
  });

describe('the config of a model written as GGUF', () => {
  it.each([
    ['qwen3', 64, { kvHeads: 32, headDim: 128 }],
    ['mistral', 8, { kvHeads: 8, headDim: 6 }],
    ['gemma', 16, { kvHeads: 16, headDim: 256 }],
    ['llama', 8, { kvHeads: 8, headDim: 6 }],
  ])('%s: missing sizes of heads are those of transformers', async (modelType, heads, expected) => {
    const path = join(root, 'defaults.gguf');
    const { num_key_value_heads: _, ...raw } = LLAMA;
    await writeEmpty(
      { ...raw, model_type: modelType, num_attention_heads: heads, head_dim: undefined },
      path,
    );
    using checkpoint = await openCheckpoint(path);
    const { config } = checkpoint;
    const read = { kvHeads: config.integer('num_key_value_heads'), headDim: config.integer('head_dim') };
    expect(read).toEqual(expected);
  });

  it(
    'the positions before scaling are those outside the rope parameters, else those inside, else ' +
      'max_position_embeddings',
    async () => {
      const path = join(root, 'original.gguf');
      const ropeOf = async (scaling: object, outer?: number) => {
        const raw = { ...LLAMA, ...(outer && { original_max_position_embeddings: outer }) };
        await writeEmpty({ ...raw, rope_parameters: { rope_theta: 1e4, ...scaling } }, path);
        using checkpoint = await openCheckpoint(path);
        const { factors, originalMaxPositionEmbeddings } = checkpoint.config.rope;
        return [originalMaxPositionEmbeddings, factors];
      };
      const inside = (positions: number) => ({ original_max_position_embeddings: positions });
      const yarn = { rope_type: 'yarn', factor: 4 };
      expect((await ropeOf(yarn))[0]).toBe(64);
      expect((await ropeOf({ ...yarn, ...inside(16) }))[0]).toBe(16);
      expect((await ropeOf({ ...yarn, ...inside(16) }, 32))[0]).toBe(32);
      const llama3 = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
      const ofLlama3 = (positions: number) => ropeOf({ ...llama3, ...inside(positions) });
      expect(await ropeOf(llama3)).toEqual(await ofLlama3(64));
      expect(await ropeOf({ ...llama3, ...inside(16) }, 32)).toEqual(await ofLlama3(32));
      expect(await ofLlama3(64)).not.toEqual(await ofLlama3(32));
    },
  );

  it('the usual bounds of the ramp of YaRN are written if the config has them', async () => {
    const path = join(root, 'yarn.gguf');
    const again = async (bounds: object) => {
      await writeEmpty({ ...LLAMA, rope_scaling: { rope_type: 'yarn', factor: 4, ...bounds } }, path);
      using checkpoint = await openCheckpoint(path);
      return [checkpoint.config.rope.betaFast, checkpoint.config.rope.betaSlow];
    };
    expect(await again({ beta_fast: 32, beta_slow: 1 })).toEqual([32, 1]);
    expect(await again({})).toEqual([undefined, undefined]);
  });

  it('Gemma 3 keeps its cap, its rotary bases and whether it has windows', async () => {
    const path = join(root, 'gemma3.gguf');
    const again = async (changes: Record<string, unknown>) => {
      await writeEmpty({ ...GEMMA3, ...SCALE_12, num_hidden_layers: 7, ...changes }, path);
      using checkpoint = await openCheckpoint(path);
      return checkpoint.config;
    };
    const plain = await again({});
    expect(plain.raw).toMatchObject({ sliding_window: 4096, final_logit_softcapping: null });
    expect(plain.strings('layer_types').indexOf('full_attention')).toBe(5);
    expect([plain.rope.theta, plain.ropeOf('sliding_attention')!.theta]).toEqual([1e6, 1e4]);
    const other = await again({ rope_theta: 5e5, rope_local_base_freq: 100, final_logit_softcapping: 30 });
    expect([other.rope.theta, other.ropeOf('sliding_attention')!.theta]).toEqual([5e5, 100]);
    expect(other.raw.final_logit_softcapping).toBe(30);
    const full = await again({ sliding_window_pattern: 1 });
    expect(new Set(full.strings('layer_types'))).toEqual(new Set(['full_attention']));
    expect(full.raw.sliding_window).toBeNull();
  });

  it('what llama.cpp would compute in another way is refused by name', async () => {
    expect(REFUSED.length).toBeGreaterThan(15);
    for (const [raw, message] of REFUSED)
      expect((await rejectionOf(writeEmpty(raw), 'UNSUPPORTED')).message).toMatch(message);
    const mamba = writeEmpty({ model_type: 'mamba' });
    expect((await rejectionOf(mamba, 'UNSUPPORTED_ARCHITECTURE')).message).toMatch(/llama, .*mistral/);
  });
});
