import { hfConfigOf } from '@qdylora/checkpoint';
import { expect, test } from 'vitest';
import { statedConfig } from './write-merged.ts';

/** What a GGUF file must say and these configs leave to their family: the values of transformers 5.24. */
const LEFT_OUT: readonly [Record<string, unknown>, Record<string, unknown>][] = [
  [
    { model_type: 'mistral', hidden_size: 64, num_attention_heads: 8, intermediate_size: 40 },
    { rms_norm_eps: 1e-6, num_key_value_heads: 8, head_dim: 8, max_position_embeddings: 131_072 },
  ],
  [
    { model_type: 'gemma', hidden_size: 64, num_attention_heads: 16, intermediate_size: 40 },
    { rms_norm_eps: 1e-6, num_key_value_heads: 16, head_dim: 256, max_position_embeddings: 8192 },
  ],
  [
    { model_type: 'gpt_neox', hidden_size: 64, num_attention_heads: 4, intermediate_size: 40 },
    { layer_norm_eps: 1e-5, max_position_embeddings: 2048, rotary_pct: 0.25 },
  ],
  [
    { model_type: 'falcon', hidden_size: 64, num_attention_heads: 4 },
    { layer_norm_epsilon: 1e-5, max_position_embeddings: 2048 },
  ],
  [
    { model_type: 'phi3', hidden_size: 64, num_attention_heads: 4, intermediate_size: 40 },
    { rms_norm_eps: 1e-5, num_key_value_heads: 4, head_dim: 16 },
  ],
];

test.each(LEFT_OUT)(
  '%j: a size that the config leaves to its family stands in what GGUF is written from',
  (raw, familyDefaults) => {
    const statedRaw = { ...raw, num_hidden_layers: 1, vocab_size: 9 };
    expect(statedConfig(hfConfigOf('config.json', statedRaw)).raw).toMatchObject({
      ...statedRaw,
      ...familyDefaults,
    });
    expect(
      statedConfig(hfConfigOf('config.json', { ...statedRaw, max_position_embeddings: 77 })).raw,
    ).toMatchObject({ max_position_embeddings: 77 });
  },
);
