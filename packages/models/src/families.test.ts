import { readFileSync } from 'node:fs';
import { hfConfigOf } from '@qdylora/checkpoint';
import { hostData, createHostBackend, QdyloraError } from '@qdylora/contract';
import { inferenceContext } from '@qdylora/tensor';
import { describe, expect, test } from 'vitest';
import { describeModel, FAMILIES, familyOf, initializeModel, oneSequence } from './index.ts';
import { CASE_OF, configOf, FOLDER, read } from './test-support/read-case.ts';

describe('an architecture without a forward function', () => {
  test('is refused by name, and the message lists every family of the one table', () => {
    for (const modelType of ['mixtral', 'bloom', '', '__proto__', 'toString'])
      expect(() => familyOf(modelType, 'here')).toThrowError(new RegExp([...FAMILIES.keys()].join(', ')));
    expect(() => describeModel(configOf('mixtral-unsupported'))).toThrowError(/mixtral/);
  });
});

/** Values that transformers computes with and we do not: [family, changes, what the message says]. */
const REFUSED: readonly [string, Record<string, unknown>, RegExp][] = [
  ['llama', { attention_dropout: 0.1 }, /attention_dropout of a llama model must be 0 \(got 0\.1\)/],
  ['llama', { hidden_act: 'mish' }, /hidden_act.*"mish"/],
  ...Object.keys(CASE_OF).map((modelType): (typeof REFUSED)[number] => [
    modelType,
    { is_causal: false },
    /is_causal of a \w+ model must be true \(got false\)/,
  ]),
  ...Object.keys(CASE_OF).map((modelType): (typeof REFUSED)[number] => [
    modelType,
    { per_layer_config: { 1: { sliding_window: 4 } } },
    /per_layer_config of a \w+ model must be empty: layers with values of their own .* \(got \{"1"/,
  ]),
  [
    'llama',
    { rope_parameters: { rope_type: 'dynamic', rope_theta: 1e4, factor: 2 } },
    /The rope_type dynamic is not implemented/,
  ],
  [
    'llama',
    { rope_parameters: { rope_type: 'default', partial_rotary_factor: 0.5 } },
    /partial_rotary_factor/,
  ],
  [
    'llama',
    { rope_parameters: { rope_type: 'llama3', rope_theta: 1e4, factor: 8, high_freq_factor: 4 } },
    /`low_freq_factor` of the rope type llama3 must be greater than 0 \(got none\)/,
  ],
  ['llama', { num_key_value_heads: 3 }, /num_key_value_heads/],
  ['mistral', { sliding_window: 0 }, /sliding_window/],
  ['qwen2', { layer_types: ['full_attention', 'chunked_attention'] }, /layer_types.*"chunked_attention"/],
  [
    'qwen2',
    { use_sliding_window: false, sliding_window: 4, layer_types: ['full_attention', 'sliding_attention'] },
    /use_sliding_window of a qwen2 model must be true, because its layer_types have .* \(got false\)/,
  ], // transformers fails in its first pass
  [
    'mistral',
    { sliding_window: null, layer_types: ['full_attention', 'sliding_attention'] },
    /sliding_window of a mistral model must be a window size, .* \(got null\)/,
  ], // there too
  ['gemma2', { sliding_window: null }, /must be a window size/],
  ['qwen2', { layer_types: ['full_attention'] }, /`layer_types` must have 2 entries, .* \(got 1\)/],
  ['qwen3', { attention_dropout: 0.5 }, /attention_dropout/],
  ['gemma', { use_bidirectional_attention: true }, /use_bidirectional_attention/],
  [
    'gemma',
    { hidden_act: 'gelu', hidden_activation: 'gelu' },
    /hidden_activation of a gemma model must be the same as hidden_act/,
  ],
  ['gemma3_text', { attn_logit_softcapping: 5 }, /attn_logit_softcapping .* must be null \(got 5\)/],
  [
    'gemma3_text',
    { rope_parameters: { rope_type: 'linear', rope_theta: 7e4, factor: 8 } },
    /rope_parameters of a gemma3_text model must be one entry for each kind of layer/,
  ],
  ['gemma2', { hidden_activation: 'quick_gelu' }, /hidden_activation/],
  ['gemma2', { attn_logit_softcapping: 0 }, /attn_logit_softcapping/],
  ['gemma3_text', { use_bidirectional_attention: true }, /use_bidirectional_attention/],
  ['phi3', { resid_pdrop: 0.1 }, /resid_pdrop/],
  [
    'phi3',
    { rope_parameters: { rope_type: 'linear', factor: 2, rope_theta: 1e4 } },
    /rope_type of a phi3 model must be default or longrope/,
  ],
  [
    'phi3',
    { rope_parameters: { rope_type: 'longrope', rope_theta: 1e4, short_factor: [1] } },
    /short_factor/,
  ],
  ['falcon', { parallel_attn: false }, /parallel_attn/],
  ['falcon', { num_ln_in_parallel_attn: 3 }, /num_ln_in_parallel_attn/],
  ['falcon', { apply_residual_connection_post_layernorm: true }, /apply_residual_connection_post_layernorm/],
  ['falcon', { hidden_dropout: 0.1 }, /hidden_dropout/],
  ['gpt_neox', { hidden_dropout: 0.1 }, /hidden_dropout/],
  [
    'gpt_neox',
    { rope_parameters: { rope_type: 'default', partial_rotary_factor: 0.05 } },
    /partial_rotary_factor/,
  ],
  ['gpt2', { add_cross_attention: true }, /add_cross_attention/],
  ['gpt2', { scale_attn_by_inverse_layer_idx: true }, /scale_attn_by_inverse_layer_idx/],
];

describe('a value that would change the forward pass and is not implemented', () => {
  test.each(REFUSED)('%s: %j is refused by name', (modelType, changes, message) => {
    expect(() => read(modelType)).not.toThrow();
    expect(() => read(modelType, changes)).toThrowError(message);
    try {
      read(modelType, changes);
    } catch (error) {
      expect(QdyloraError.isInstance(error) && ['UNSUPPORTED', 'BAD_CONFIG'].includes(error.code)).toBe(true);
    }
  });
});

test('a config that says nothing reads as transformers reads it, in every family', () => {
  const { families } = JSON.parse(readFileSync(`${FOLDER}families/config-defaults.json`, 'utf8')) as {
    families: Record<string, Record<string, unknown>>;
  };
  expect(Object.keys(families).sort()).toEqual([...FAMILIES.keys()].sort());
  // Sizes that our families ask for, because no checkpoint leaves them out.
  const sizes = [
    'vocab_size',
    'hidden_size',
    'intermediate_size',
    'num_hidden_layers',
    'num_attention_heads',
  ];
  for (const [modelType, full] of Object.entries(families)) {
    const family = familyOf(modelType, 'test');
    const bare = Object.fromEntries(
      Object.entries(full).filter(([key]) => key === 'model_type' || sizes.includes(key)),
    );
    expect(family.readConfig(hfConfigOf('config.json', bare)), modelType).toEqual(
      family.readConfig(hfConfigOf('config.json', full)),
    );
  }
});

describe('frequencies', () => {
  const { cases } = JSON.parse(readFileSync(`${FOLDER}families/rope.json`, 'utf8')) as {
    cases: {
      name: string;
      config: Record<string, unknown>;
      inverse_frequencies: number[];
      attention_factor: number;
    }[];
  };
  test.each(cases)(
    'of $name are those of transformers',
    ({ config, inverse_frequencies: want, attention_factor: factor }) => {
      const { modelType } = hfConfigOf('config.json', config);
      const { rope } = familyOf(modelType, 'test').readConfig(hfConfigOf('config.json', config)).attention[0];
      expect(rope!.frequencies.length).toBe(want.length);
      // theirs are float32
      want.forEach((f, i) => expect(Math.abs(rope!.frequencies[i] / f - 1)).toBeLessThan(1e-6));
      expect(rope!.scale).toBeCloseTo(factor, 6);
    },
  );
});

test("a sequence past learned positions or LongRoPE's short factors is refused with its length", () => {
  const config = { ...configOf('gpt2'), n_positions: 4, torch_dtype: 'float32' };
  const backend = createHostBackend();
  const gpt2 = initializeModel(config, { backend });
  expect(() => gpt2.hidden(inferenceContext(backend), oneSequence([1, 2, 3, 4]))).not.toThrow();
  expect(() => gpt2.hidden(inferenceContext(backend), oneSequence([1, 2, 3, 4, 5]))).toThrowError(
    /at most 4 tokens \(got position 4\)/,
  );
  const long = {
    rope_type: 'longrope',
    rope_theta: 10_000,
    short_factor: [1, 1.1, 1.2, 1.3],
    long_factor: [2, 3, 4, 5],
    partial_rotary_factor: 0.5,
  };
  expect(
    read('phi3', { rope_parameters: long, original_max_position_embeddings: 16, max_position_embeddings: 64 })
      .positionLimit,
  ).toBe(16);
  expect(
    read('phi3', { rope_parameters: long, original_max_position_embeddings: 64, max_position_embeddings: 64 })
      .positionLimit,
  ).toBe(64); // past max_position_embeddings, transformers takes the long factors too
});

test(
  'random weights begin as transformers begins them: norms that store the weight minus one at 0, ' +
    'others at 1',
  () => {
    const first = (modelType: string, name: string): number => {
      const model = initializeModel(configOf(CASE_OF[modelType]), { backend: createHostBackend() });
      return hostData(model.parameters().find((parameter) => parameter.name === name)!.view)[0];
    };
    expect([
      first('gemma', 'model.norm.weight'),
      first('llama', 'model.norm.weight'),
      first('falcon', 'transformer.ln_f.weight'),
      first('falcon', 'transformer.ln_f.bias'),
    ]).toEqual([0, 1, 1, 0]);
  },
);
