import { describe, expect, it } from 'vitest';
import { hfConfigOf, type CheckpointConfig } from '../config/hf-config.ts';
import { errorOf } from '../test-support/error-of.ts';
import { ggufArchitecture } from './architectures.ts';
import { GGML_TYPES } from './file/ggml-types.ts';
import type { GgufValue } from './file/read-gguf.ts';
import { ggufConfig, ggufFacts } from './gguf-config.ts';

/** The config of a file of one layer, with these keys of its architecture and only these tensors. */
function configOfFile(
  architecture: string,
  keys: Readonly<Record<string, GgufValue>>,
  names: readonly string[] = [],
): CheckpointConfig {
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', architecture],
    ...Object.entries({
      block_count: 1,
      context_length: 64,
      embedding_length: 8,
      feed_forward_length: 16,
      vocab_size: 4,
      'attention.head_count': 2,
      'attention.layer_norm_rms_epsilon': 1e-5,
      ...keys,
    }).map(([key, value]): [string, GgufValue] => [`${architecture}.${key}`, value]),
  ]);
  const tensors = new Map(
    names.map((name) => [name, { name, type: GGML_TYPES.get(0)!, shape: [8], begin: 0, byteLength: 32 }]),
  );
  const file = { version: 3, alignment: 32, metadata, tensors };
  const facts = ggufFacts('x.gguf', file, () => undefined);
  return hfConfigOf('x.gguf', ggufConfig(facts, ggufArchitecture('x.gguf', architecture)));
}

describe('the config of a Gemma 3 file', () => {
  const configOf = (layers: number, keys: Readonly<Record<string, GgufValue>>): CheckpointConfig =>
    configOfFile('gemma3', { block_count: layers, ...keys });
  const theta = { 'rope.freq_base': 1e6 };
  const windowed = { ...theta, 'attention.sliding_window': 512 };
  const fullLayers = (config: CheckpointConfig): number[] =>
    config.strings('layer_types').flatMap((type, i) => (type === 'full_attention' ? [i] : []));

  it('has no window in every sixth layer, unless the file has another period or a list', () => {
    const withPattern = (layers: number, pattern: GgufValue) =>
      fullLayers(configOf(layers, { ...windowed, 'attention.sliding_window_pattern': pattern }));
    expect(fullLayers(configOf(13, windowed))).toEqual([5, 11]);
    expect(withPattern(7, 3)).toEqual([2, 5]);
    expect(withPattern(2, 1)).toEqual([0, 1]);
    expect(withPattern(2, 0)).toEqual([]);
    expect(withPattern(3, [true, false, true])).toEqual([1]);
    for (const wrong of [[true], [1, 0, 1]])
      expect(errorOf(() => withPattern(3, wrong), 'BAD_CONFIG').message).toMatch(
        /sliding_window_pattern` must be a period or a list of 3 booleans/,
      );
  });

  it('has full attention everywhere if the file has no window', () => {
    const config = configOf(2, theta);
    expect(fullLayers(config)).toEqual([0, 1]);
    expect(config.raw.sliding_window).toBeNull();
  });

  it('has another rotary base, and no scaling, in layers with a window', () => {
    const config = configOf(6, { ...windowed, 'rope.scaling.type': 'linear', 'rope.scaling.factor': 8 });
    expect(config.rope).toMatchObject({ type: 'linear', factor: 8, theta: 1e6 });
    expect(config.ropeOf('sliding_attention')).toMatchObject({ type: 'default', theta: 1e4 });
    const other = configOf(6, { ...windowed, 'rope.freq_base_swa': 500 });
    expect(other.ropeOf('sliding_attention')!.theta).toBe(500);
    expect(errorOf(() => configOf(6, {}), 'BAD_CONFIG').message).toMatch(
      /`gemma3\.rope\.freq_base` must be a finite number \(got nothing\)/,
    );
  });

  it('scales q by the size of a head, but by hidden / heads in the 27b model', () => {
    const scalar = (layers: number) =>
      configOf(layers, { ...windowed, 'attention.key_length': 6 }).number('query_pre_attn_scalar');
    expect([scalar(18), scalar(62)]).toEqual([6, 4]);
  });

  it('caps logits only where the file has a cap', () => {
    expect(configOf(1, theta).raw.final_logit_softcapping).toBeNull();
    const capped = configOf(1, { ...theta, final_logit_softcapping: 30 });
    expect(capped.raw.final_logit_softcapping).toBe(30);
  });
});

it('the config of a file with YaRN has its attention factor and its ramp', () => {
  const { rope } = configOfFile('qwen2', {
    'rope.scaling.type': 'yarn',
    'rope.scaling.factor': 4,
    'rope.scaling.original_context_length': 16,
    'rope.scaling.yarn_attn_factor': 1,
    'rope.scaling.yarn_beta_fast': 64,
    'rope.scaling.yarn_beta_slow': 2,
  });
  expect(rope).toMatchObject({ type: 'yarn', factor: 4, attentionFactor: 1, betaFast: 64, betaSlow: 2 });
});

it('the projections of a Llama file have biases together or not at all', () => {
  const configOf = (...layers: string[]) =>
    configOfFile(
      'llama',
      {},
      layers.map((layer) => `blk.0.${layer}.bias`),
    );
  const all = ['attn_q', 'attn_k', 'attn_v', 'attn_output'];
  expect(configOf(...all).raw).toMatchObject({ attention_bias: true, mlp_bias: false });
  expect(configOf('ffn_gate', 'ffn_up', 'ffn_down').raw).toMatchObject({
    attention_bias: false,
    mlp_bias: true,
  });
  expect(errorOf(() => configOf('attn_q', 'attn_k', 'attn_v'), 'UNSUPPORTED').message).toMatch(
    /all or none of attn_q, attn_k, attn_v, attn_output must have a bias \(got attn_q, attn_k, attn_v\)/,
  );
  for (const layer of ['attn_output', 'ffn_down']) errorOf(() => configOf(layer), 'UNSUPPORTED');
});
