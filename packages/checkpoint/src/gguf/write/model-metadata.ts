import { QdyloraError } from '@qdylora/contract';
import { DEFAULT_THETA, FAMILY_DEFAULTS, familyDefaultsOf } from '../../config/family-defaults.ts';
import type { CheckpointConfig } from '../../config/hf-config.ts';
import { llama3Divisors } from '../../config/llama3-rope.ts';
import type { GgufArchitecture } from '../architectures.ts';
import { gemmaQueryScalar, gemmaRulesOf, hasWindow, layerType, type GemmaRules } from '../gemma-rules.ts';
import type { Heads } from '../tensor-layout.ts';
import type { MetadataToWrite } from './metadata-value.ts';

type Entries = [string, MetadataToWrite][];

/** Head counts of a config, under the names of its family and with its defaults. */
export function headsOf(
  config: CheckpointConfig,
  { sizes }: GgufArchitecture,
): Heads & { readonly headDim: number; readonly hiddenSize: number } {
  const keyOf = (gguf: string): string => Object.entries(sizes).find(([, value]) => value === gguf)![0];
  const heads = config.integer(keyOf('attention.head_count'));
  const hiddenSize = config.integer(keyOf('embedding_length'));
  const defaults = familyDefaultsOf(config.modelType);
  const namesKvHeads = Object.hasOwn(config.raw, 'num_key_value_heads'); // null: as many as query heads
  const otherwise = namesKvHeads ? heads : (defaults.kvHeads ?? heads);
  const isMultiQuery =
    config.modelType === 'falcon' &&
    config.boolean('multi_query', true) &&
    !config.boolean('new_decoder_architecture', false);
  return {
    heads,
    hiddenSize,
    kvHeads: isMultiQuery
      ? 1
      : config.integer('num_key_value_heads', config.integer('num_kv_heads', otherwise)),
    headDim: config.integer('head_dim', defaults.headDim ?? Math.floor(hiddenSize / heads)),
  };
}

/**
 * The GGUF metadata of a model, from its `config.json`.
 *
 * @throws QdyloraError UNSUPPORTED that names the key, for a value that llama.cpp would silently compute
 * differently.
 */
export function modelMetadata(
  name: string,
  architecture: GgufArchitecture,
  config: CheckpointConfig,
): Entries {
  const { sizes, epsilon, modelType } = architecture;
  const { heads, kvHeads, headDim, hiddenSize } = headsOf(config, architecture);
  refuseUnsupportedValues(config);
  if (modelType === 'phi3' && headDim * heads !== hiddenSize)
    throw unsupportedByLlamaCpp(config.path, `head_dim ${headDim}`, 'hidden_size / num_attention_heads');
  refuseOtherGemma(config, { heads, headDim, hiddenSize });
  refuseOtherActivation(config, architecture);
  const size = (key: string, gguf: string): number => {
    if (gguf === 'context_length') return Math.min(config.integer(key), windowOf(config));
    // may be missing in GPT-2 and Falcon
    return gguf === 'feed_forward_length' ? config.integer(key, 4 * hiddenSize) : config.integer(key);
  };
  const entries: Entries = Object.entries(sizes).map(([key, gguf]) => [gguf, { u32: size(key, gguf) }]);
  entries.push([
    epsilon === 'rms_norm_eps' ? 'attention.layer_norm_rms_epsilon' : 'attention.layer_norm_epsilon',
    { f32: config.number(epsilon) },
  ]);
  if (modelType !== 'gpt2' && modelType !== 'gpt_neox')
    entries.push(['attention.head_count_kv', { u32: kvHeads }]);
  if (epsilon === 'rms_norm_eps' && modelType !== 'phi3')
    entries.push(['attention.key_length', { u32: headDim }], ['attention.value_length', { u32: headDim }]);
  entries.push(...ropeEntries(config, modelType, headDim), ...familyEntries(config, modelType));
  return entries.map(([key, value]) => [`${name}.${key}`, value]);
}

/**
 * The window of Mistral or Phi-3. llama.cpp does not apply it, so longer contexts are not declared. If
 * `sliding_window` is missing, transformers uses one for Mistral; null means none. `layer_types` of Mistral
 * may have full attention alone.
 */
function windowOf(config: CheckpointConfig): number {
  const { modelType } = config;
  if (!['mistral', 'phi3'].includes(modelType)) return Infinity;
  const isListed = modelType === 'mistral' && config.has('layer_types');
  if (isListed && !config.strings('layer_types').includes('sliding_attention')) return Infinity;
  if (config.has('sliding_window')) return config.integer('sliding_window');
  if (Object.hasOwn(config.raw, 'sliding_window')) return Infinity;
  return familyDefaultsOf(modelType).window ?? Infinity;
}

function familyEntries(config: CheckpointConfig, modelType: string): Entries {
  switch (modelType) {
    case 'gemma2':
      return gemma2Entries(config);
    case 'gemma3_text':
      return gemma3Entries(config);
    case 'falcon':
      return [['tensor_data_layout', { text: 'jploski' }]];
    case 'gpt_neox':
      return [['use_parallel_residual', { bool: config.boolean('use_parallel_residual', true) }]];
    case 'phi3':
      return [
        ['attention.sliding_window', { u32: config.integer('sliding_window', 0) }],
        ['rope.scaling.original_context_length', { u32: originalPositions(config) }],
      ];
    default:
      return [];
  }
}

function gemma2Entries(config: CheckpointConfig): Entries {
  const { scoreSoftCap, logitSoftCap, window } = FAMILY_DEFAULTS.gemma2;
  return [
    ['attn_logit_softcapping', { f32: config.number('attn_logit_softcapping', scoreSoftCap) }],
    ['final_logit_softcapping', { f32: config.number('final_logit_softcapping', logitSoftCap) }],
    ['attention.sliding_window', { u32: config.integer('sliding_window', window) }],
  ];
}

/** The cap of a Gemma 3 model, its window, and the rotary base of layers with a window. */
function gemma3Entries(config: CheckpointConfig): Entries {
  const caps: Entries = config.has('final_logit_softcapping')
    ? [['final_logit_softcapping', { f32: config.number('final_logit_softcapping') }]]
    : [];
  if (!layerTypesOf(config).includes(layerType(true))) return caps;
  return [
    ...caps,
    [
      'attention.sliding_window',
      { u32: config.integer('sliding_window', FAMILY_DEFAULTS.gemma3_text.window) },
    ],
    ['rope.freq_base_swa', { f32: config.ropeOf('sliding_attention')?.theta ?? DEFAULT_THETA }],
  ];
}

/**
 * Positions before scaling. The key outside the rope parameters wins, as in transformers; without either it
 * is `max_position_embeddings`.
 */
const originalPositions = (config: CheckpointConfig): number =>
  config.integer(
    'original_max_position_embeddings',
    config.rope.originalMaxPositionEmbeddings ?? config.integer('max_position_embeddings'),
  );

/** LongRoPE and its early names in Phi-3. */
const LONGROPE_NAMES = ['longrope', 'su', 'yarn'];

/** Rotary parameters. Llama 3's scaling is a tensor: see `ropeFactors`. */
function ropeEntries(config: CheckpointConfig, modelType: string, headDim: number): Entries {
  if (modelType === 'gpt2') return [];
  const { rope, path } = config;
  const entries: Entries = [
    ['rope.freq_base', { f32: rope.theta }],
    ['rope.dimension_count', { u32: Math.floor(headDim * rope.partialRotaryFactor) }],
  ];
  if (modelType === 'phi3' && LONGROPE_NAMES.includes(rope.type)) throw longRopeNotWritten(path, rope.type);
  switch (rope.type) {
    case 'llama3':
    case 'factors':
      // llama.cpp loads the tensor of divisors only for Llama
      if (modelType !== 'llama')
        throw unsupportedByLlamaCpp(path, `rope type ${rope.type}`, 'default, linear or yarn');
      return entries;
    case 'default':
      return entries;
    case 'linear':
      return [
        ...entries,
        ['rope.scaling.type', { text: 'linear' }],
        ['rope.scaling.factor', { f32: rope.factor ?? 1 }],
      ];
    case 'yarn':
      // llama.cpp would scale attention in layers with a window too
      if (modelType === 'gemma3_text')
        throw unsupportedByLlamaCpp(path, 'rope type yarn', 'default or linear');
      return [...entries, ...yarnEntries(config)];
    default:
      throw unsupportedByLlamaCpp(path, `rope type ${rope.type}`, 'default, linear, llama3 or yarn');
  }
}

/** The bounds of YaRN's ramp: llama.cpp uses these in all families here, even if a file has other ones. */
const YARN_BOUNDS = [
  ['betaFast', 'yarn_beta_fast', 32],
  ['betaSlow', 'yarn_beta_slow', 1],
] as const;

function yarnEntries(config: CheckpointConfig): Entries {
  const { rope, path } = config;
  const bounds = YARN_BOUNDS.filter(([name]) => rope[name] !== undefined);
  if (
    [rope.attentionFactor, rope.mscale, rope.mscaleAllDim].some((value) => value !== undefined) ||
    bounds.some(([name, , usual]) => rope[name] !== usual) ||
    rope.raw.truncate === false
  )
    throw unsupportedByLlamaCpp(
      path,
      'yarn with attention_factor, mscale, truncate: false, or another beta_fast than 32 or beta_slow than 1',
      'yarn without them',
    );
  return [
    ['rope.scaling.type', { text: 'yarn' }],
    ['rope.scaling.factor', { f32: rope.factor ?? 1 }],
    ['rope.scaling.original_context_length', { u32: originalPositions(config) }],
    ...bounds.map(([, key, usual]): Entries[number] => [`rope.scaling.${key}`, { f32: usual }]),
  ];
}

/** Divisors of every frequency for `rope_freqs.weight`; null if there are none. */
export function ropeFactors(config: CheckpointConfig, headDim: number): Float32Array | null {
  const { rope } = config;
  if (rope.factors) return rope.factors;
  if (rope.type !== 'llama3') return null;
  const { factor = 1, lowFreqFactor = 1, highFreqFactor = 4, theta } = rope;
  const parameters = { factor, lowFreqFactor, highFreqFactor, originalPositions: originalPositions(config) };
  return llama3Divisors(parameters, theta, headDim);
}

const GELU = ['gelu', 'gelu_new', 'gelu_pytorch_tanh', 'gelu_fast'];
const SILU = ['silu', 'swish'];

/**
 * Refuses an activation that llama.cpp does not compute. Each architecture has one activation there, and its
 * GELU is always the tanh form. The exact GELU is accepted, as by llama.cpp's converter, except for GPT-2,
 * which has the tanh form.
 */
function refuseOtherActivation(config: CheckpointConfig, { fixed }: GgufArchitecture): void {
  const key = ['hidden_act', 'hidden_activation', 'activation', 'activation_function'].find((name) =>
    Object.hasOwn(fixed, name),
  );
  const usual = key === undefined ? '' : String(fixed[key]);
  if (key === undefined || !config.has(key)) return;
  const got = config.string(key);
  const accepted = usual === 'silu' ? SILU : config.modelType === 'gpt2' ? GELU.slice(1) : GELU;
  if (!accepted.includes(got)) throw unsupportedByLlamaCpp(config.path, `${key} ${got}`, usual);
}

/** Refuses values that GGUF cannot express and that change the model. */
function refuseUnsupportedValues(config: CheckpointConfig): void {
  const { modelType, path } = config;
  if ((modelType.startsWith('gemma') || modelType === 'qwen3') && config.boolean('attention_bias', false))
    throw unsupportedByLlamaCpp(path, 'attention_bias true', 'false');
  if (modelType === 'gpt_neox' && !config.boolean('attention_bias', true))
    throw unsupportedByLlamaCpp(path, 'attention_bias false', 'true');
  if (modelType === 'gpt_neox' && config.boolean('tie_word_embeddings', false))
    throw unsupportedByLlamaCpp(path, 'tie_word_embeddings true', 'false');
  if (modelType === 'gpt2' && !config.boolean('scale_attn_weights', true))
    throw unsupportedByLlamaCpp(path, 'scale_attn_weights false', 'true');
  if (modelType.startsWith('qwen') && config.boolean('use_sliding_window', false))
    throw unsupportedByLlamaCpp(path, 'use_sliding_window true', 'false');
  if (
    modelType === 'falcon' &&
    (config.boolean('alibi', false) ||
      config.boolean('bias', false) ||
      !config.boolean('parallel_attn', true))
  )
    throw unsupportedByLlamaCpp(
      path,
      'alibi, bias or sequential attention',
      'parallel attention without alibi and bias',
    );
}

/** Refuses values with which llama.cpp does not compute a Gemma model: it assumes others. */
function refuseOtherGemma(
  config: CheckpointConfig,
  sizes: { readonly heads: number; readonly headDim: number; readonly hiddenSize: number },
): void {
  const { modelType, path } = config;
  if (!modelType.startsWith('gemma')) return;
  if (modelType !== 'gemma3_text' && !config.boolean('tie_word_embeddings', true))
    throw unsupportedByLlamaCpp(path, 'a separate head', 'a head that is the embedding');
  if (config.boolean('use_bidirectional_attention', false))
    throw unsupportedByLlamaCpp(path, 'use_bidirectional_attention true', 'false');
  const rules = gemmaRulesOf(modelType);
  if (!rules) return;
  const scalar = config.number('query_pre_attn_scalar', familyDefaultsOf(modelType).queryScalar);
  const assumed = gemmaQueryScalar(rules, { ...sizes, layers: config.integer('num_hidden_layers', 0) });
  if (scalar !== assumed)
    throw unsupportedByLlamaCpp(path, `query_pre_attn_scalar ${scalar}`, String(assumed));
  refuseOtherLayers(config, rules);
  if (modelType === 'gemma3_text') return refuseOtherGemma3(config);
  for (const key of ['attn_logit_softcapping', 'final_logit_softcapping'])
    if (Object.hasOwn(config.raw, key) && !config.has(key))
      throw unsupportedByLlamaCpp(path, `${key} null`, 'a number');
}

function refuseOtherGemma3(config: CheckpointConfig): void {
  if (config.has('attn_logit_softcapping'))
    throw unsupportedByLlamaCpp(
      config.path,
      `attn_logit_softcapping ${config.number('attn_logit_softcapping')}`,
      'null',
    );
  const type = config.ropeOf('sliding_attention')?.type ?? 'default';
  if (type !== 'default')
    throw unsupportedByLlamaCpp(config.path, `rope type ${type} in layers with a window`, 'default');
}

/**
 * Refuses other layer types than llama.cpp assumes. A Gemma 3 model without any window is possible too: its
 * file has no size of a window.
 */
function refuseOtherLayers(config: CheckpointConfig, { windowPeriod }: GemmaRules): void {
  const types = layerTypesOf(config);
  if (config.modelType === 'gemma3_text' && types.every((type) => type === layerType(false))) return;
  if (types.some((type, i) => type !== layerType(hasWindow(windowPeriod, i))))
    throw unsupportedByLlamaCpp(
      config.path,
      'these layer_types',
      `full_attention in layers ${[1, 2, 3].map((i) => i * windowPeriod).join(', ')}, … and ` +
        'sliding_attention in the others',
    );
}

/** The type of each layer of a Gemma 2 or 3 model. */
function layerTypesOf(config: CheckpointConfig): readonly string[] {
  if (config.has('layer_types')) return config.strings('layer_types');
  const { windowPeriod } = gemmaRulesOf(config.modelType)!;
  const period =
    config.modelType === 'gemma3_text'
      ? config.integer('sliding_window_pattern', windowPeriod)
      : windowPeriod;
  return Array.from({ length: config.integer('num_hidden_layers', 0) }, (_, i) =>
    layerType(hasWindow(period, i)),
  );
}

const unsupportedByLlamaCpp = (path: string, got: string, expected: string): QdyloraError =>
  new QdyloraError('UNSUPPORTED', {
    where: 'gguf',
    problem: `${path}: llama.cpp cannot compute ${got} here, only ${expected}.`,
    nextStep: 'Write safetensors instead.',
    details: { got },
  });

const longRopeNotWritten = (path: string, type: string): QdyloraError =>
  new QdyloraError('UNSUPPORTED', {
    where: 'gguf',
    problem: `${path}: a model with rope type ${type} cannot be written as GGUF here.`,
    nextStep: "Write safetensors instead, and convert that with llama.cpp's convert_hf_to_gguf.py.",
    details: { got: type },
  });
