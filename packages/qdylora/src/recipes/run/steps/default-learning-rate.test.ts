import { hfConfigOf } from '@qdylora/checkpoint';
import { expect, it } from 'vitest';
import { defaultLearningRate } from './default-learning-rate.ts';

const llama = {
  model_type: 'llama',
  hidden_size: 576,
  intermediate_size: 1536,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  num_hidden_layers: 30,
  vocab_size: 49152,
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-5,
};
const gpt2 = {
  model_type: 'gpt2',
  n_embd: 768,
  n_head: 12,
  n_layer: 12,
  n_positions: 1024,
  vocab_size: 50257,
};

it.each([
  ['qdylora', llama, 1.3e-3],
  ['qlora', { ...llama, hidden_size: 4096, num_attention_heads: 32, num_key_value_heads: 8 }, 2.9e-4],
  ['qdylora', gpt2, 1.1e-3],
  ['none', llama, 2e-4],
] as const)('the default rate of %s on %j is %d', (method, config, rate) => {
  expect(defaultLearningRate({ method }, hfConfigOf('config.json', config))).toBe(rate);
});
