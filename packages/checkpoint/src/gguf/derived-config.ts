import { QdyloraError } from '@qdylora/contract';
import { llama3Parameters } from '../config/llama3-rope.ts';
import { DEFAULT_THETA, FAMILY_DEFAULTS } from '../config/family-defaults.ts';
import {
  GEMMA2_RULES,
  GEMMA3_RULES,
  gemmaQueryScalar,
  hasWindow,
  layerType,
  type GemmaRules,
} from './gemma-rules.ts';
import type { GgufFacts } from './gguf-facts.ts';

/**
 * Config values that depend on several keys of the file, per architecture, as `config.json` of the same model
 * has them.
 */
type Derived = Record<string, unknown>;

/** Head sizes of models that store them explicitly. */
export const withHeadDim = (facts: GgufFacts): Derived => ({
  num_key_value_heads: facts.kvHeads,
  head_dim: facts.headDim,
  rope_parameters: ropeParameters(facts, facts.headDim),
});

export const llamaConfig = (facts: GgufFacts): Derived => ({
  ...withHeadDim(facts),
  attention_bias: haveBiases(facts, ['attn_q', 'attn_k', 'attn_v', 'attn_output']),
  mlp_bias: haveBiases(facts, ['ffn_gate', 'ffn_up', 'ffn_down']),
});

/**
 * True if all of these layers have biases, false if none has: the config has one key for all of them.
 * @throws QdyloraError UNSUPPORTED where only some have one
 */
function haveBiases({ path, tensors }: GgufFacts, layers: readonly string[]): boolean {
  const biased = layers.filter((layer) => tensors.has(`blk.0.${layer}.bias`));
  if (biased.length === 0 || biased.length === layers.length) return biased.length > 0;
  throw new QdyloraError('UNSUPPORTED', {
    where: 'gguf',
    problem: `${path}: all or none of ${layers.join(', ')} must have a bias (got ${biased.join(', ')}).`,
    nextStep: 'Use the safetensors folder of the same model.',
    details: { path, biased },
  });
}

/** llama.cpp and transformers have the same defaults for Gemma 2. */
export function gemma2Config(facts: GgufFacts): Derived {
  const { values, key } = facts;
  const { scoreSoftCap, logitSoftCap, window } = FAMILY_DEFAULTS.gemma2;
  return {
    ...withHeadDim(facts),
    query_pre_attn_scalar: gemmaQueryScalar(GEMMA2_RULES, facts),
    attn_logit_softcapping: values.number(key('attn_logit_softcapping'), scoreSoftCap),
    final_logit_softcapping: values.number(key('final_logit_softcapping'), logitSoftCap),
    sliding_window: values.integer(key('attention.sliding_window'), window),
    layer_types: layerTypes(facts, GEMMA2_RULES),
  };
}

/**
 * Gemma 3: layers with a window have a rotary base of their own and no scaling. Without a window, all layers
 * have full attention.
 */
export function gemma3Config(facts: GgufFacts): Derived {
  const { values, key, headDim, layers } = facts;
  const window = values.integer(key('attention.sliding_window'), 0);
  const finalCap = key('final_logit_softcapping');
  return {
    ...withHeadDim(facts),
    query_pre_attn_scalar: gemmaQueryScalar(GEMMA3_RULES, facts),
    final_logit_softcapping: values.has(finalCap) ? values.number(finalCap) : null,
    sliding_window: window > 0 ? window : null,
    layer_types: window > 0 ? layerTypes(facts, GEMMA3_RULES) : Array<string>(layers).fill(layerType(false)),
    rope_parameters: {
      // llama.cpp and transformers differ in their default for this base, so the file must have it
      full_attention: { ...ropeParameters(facts, headDim), rope_theta: values.number(key('rope.freq_base')) },
      sliding_attention: {
        rope_type: 'default',
        rope_theta: values.number(key('rope.freq_base_swa'), DEFAULT_THETA),
      },
    },
  };
}

/**
 * `layer_types`: by the file's list or period, otherwise by the rule of the version.
 *
 * @throws QdyloraError BAD_CONFIG for a list of another length or type, and for a negative period.
 */
function layerTypes({ values, key, layers }: GgufFacts, { windowPeriod }: GemmaRules): string[] {
  const name = key('attention.sliding_window_pattern');
  const pattern = values.raw[name];
  if (Array.isArray(pattern)) {
    if (pattern.length !== layers || pattern.some((entry) => typeof entry !== 'boolean'))
      throw values.wrong(`a period or a list of ${layers} booleans`, name);
    return pattern.map(layerType);
  }
  const period = values.integer(name, windowPeriod);
  if (period < 0) throw values.wrong('a whole number ≥ 0', name);
  return Array.from({ length: layers }, (_, i) => layerType(hasWindow(period, i)));
}

/**
 * Falcon 7b: one key and value for all heads. 40b: groups of heads and two norms. 11b: groups and one norm.
 */
export function falconConfig(facts: GgufFacts): Derived {
  const { kvHeads, tensors } = facts;
  const hasTwoNorms = tensors.has('blk.0.attn_norm_2.weight');
  const isNew = hasTwoNorms || kvHeads > 1;
  return {
    num_kv_heads: kvHeads,
    new_decoder_architecture: isNew,
    num_ln_in_parallel_attn: isNew ? (hasTwoNorms ? 2 : 1) : null,
    rope_parameters: ropeParameters(facts, facts.headDim),
  };
}

export const gptNeoXConfig = (facts: GgufFacts): Derived => ({
  use_parallel_residual: facts.values.boolean(facts.key('use_parallel_residual'), true),
  attention_bias: facts.tensors.has('blk.0.attn_qkv.bias'),
  // without it, the default would be a quarter
  rope_parameters: { partial_rotary_factor: 1, ...ropeParameters(facts, facts.headDim) },
});

export function phi3Config(facts: GgufFacts): Derived {
  const { values, key, kvHeads, headDim, readTensor } = facts;
  const window = values.integer(key('attention.sliding_window'), 0);
  const rope = ropeParameters(facts, headDim, true);
  const long = readTensor('rope_factors_long.weight');
  const short = readTensor('rope_factors_short.weight');
  const factors =
    long && short ? { rope_type: 'longrope', long_factor: [...long], short_factor: [...short] } : {};
  const attentionFactor = values.has(key('rope.scaling.attn_factor'))
    ? { attention_factor: values.number(key('rope.scaling.attn_factor')) }
    : {};
  return {
    num_key_value_heads: kvHeads,
    sliding_window: window > 0 ? window : null,
    original_max_position_embeddings: values.integer(
      key('rope.scaling.original_context_length'),
      values.integer(key('context_length')),
    ),
    rope_parameters: { ...rope, ...factors, ...attentionFactor },
  };
}

/** Parameters of YaRN, as llama.cpp's converter copies them from a config.json. */
const YARN_KEYS = [
  ['rope.scaling.yarn_attn_factor', 'attention_factor'],
  ['rope.scaling.yarn_beta_fast', 'beta_fast'],
  ['rope.scaling.yarn_beta_slow', 'beta_slow'],
] as const;

/**
 * `rope_parameters`; with `callerReadsScaling` the caller reads the scaling. @throws QdyloraError
 * UNSUPPORTED for a factor whose meaning changed between versions.
 */
function ropeParameters(facts: GgufFacts, headDim: number, callerReadsScaling = false): Derived {
  const { path, values, key } = facts;
  const parameters: Derived = {
    rope_type: 'default',
    rope_theta: values.number(key('rope.freq_base'), DEFAULT_THETA),
  };
  const rotary = values.integer(key('rope.dimension_count'), headDim);
  if (rotary !== headDim) parameters.partial_rotary_factor = rotary / headDim;
  const scaling = values.string(
    key('rope.scaling.type'),
    values.has(key('rope.scale_linear')) ? 'linear' : 'none',
  );
  if (scaling === 'none' || callerReadsScaling) return { ...parameters, ...llama3Scaling(facts, parameters) };
  if (values.number(key('rope.scaling.attn_factor'), 1) !== 1) {
    // llama.cpp multiplies it into another factor, in ways that changed between versions
    throw new QdyloraError('UNSUPPORTED', {
      where: 'gguf',
      problem:
        `${path}: ${key('rope.scaling.attn_factor')} must be 1 (got ` +
        `${values.number(key('rope.scaling.attn_factor'))}).`,
      nextStep: 'Use the safetensors folder of the same model.',
      details: { path },
    });
  }
  parameters.rope_type = scaling;
  parameters.factor = values.number(key('rope.scaling.factor'), values.number(key('rope.scale_linear'), 1));
  if (values.has(key('rope.scaling.original_context_length')))
    parameters.original_max_position_embeddings = values.integer(key('rope.scaling.original_context_length'));
  for (const [stored, name] of YARN_KEYS)
    if (values.has(key(stored))) parameters[name] = values.number(key(stored));
  return parameters;
}

/** Llama 3's scaling, which the file stores as a tensor of divisors; nothing for other divisors. */
function llama3Scaling({ readTensor }: GgufFacts, { rope_theta: theta }: Derived): Derived {
  const divisors = readTensor('rope_freqs.weight');
  const parameters = divisors && llama3Parameters(divisors, theta as number);
  if (!parameters) return {};
  const { factor, lowFreqFactor, highFreqFactor, originalPositions } = parameters;
  return {
    rope_type: 'llama3',
    factor,
    low_freq_factor: lowFreqFactor,
    high_freq_factor: highFreqFactor,
    original_max_position_embeddings: originalPositions,
  };
}
