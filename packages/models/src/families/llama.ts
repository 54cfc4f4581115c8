import { familyDefaultsOf, type CheckpointConfig } from '@qdylora/checkpoint';
import type { ActivationKind, RmsNormLayer } from '@qdylora/tensor';
import { readActivation } from '../config/read-activation.ts';
import { readRope, type RopeOptions } from '../config/read-rope.ts';
import { acceptOnly, refusedValue } from '../config/refuse-value.ts';
import { buildGatedMlp, gatedMlp, type GatedMlp } from '../layers/gated-mlp.ts';
import { rmsNorm } from '../layers/norm.ts';
import { residualSum } from '../layers/residual-sum.ts';
import {
  buildSeparateAttention,
  separateAttention,
  type SeparateAttention,
} from '../layers/separate-attention.ts';
import type { WeightSource } from '../weights/weight-source.ts';
import type { DecoderNames, Family } from './family.ts';
import { PLAIN_ATTENTION, type FamilyConfig } from './family-config.ts';

/** Config of Llama and of the families that are variants of it: Mistral, Qwen 2 and 3, Gemma, Phi-3. */
export interface LlamaConfig extends FamilyConfig {
  readonly intermediateSize: number;
  readonly activation: ActivationKind;
  readonly qkvBias: boolean;
  readonly outBias: boolean;
  readonly mlpBias: boolean;
  /** An RMS norm of each head of q and k (Qwen 3, Gemma 3). */
  readonly hasHeadNorms: boolean;
  /** Norm weights are stored minus one (Gemma). */
  readonly isOffset: boolean;
}

export interface LlamaLayer {
  readonly inputNorm: RmsNormLayer;
  readonly attention: SeparateAttention;
  readonly mlpNorm: RmsNormLayer;
  readonly mlp: GatedMlp;
}

export const LLAMA_NAMES: DecoderNames = {
  base: 'model.',
  embedding: 'model.embed_tokens',
  layers: 'model.layers',
  norm: 'model.norm',
  head: 'lm_head',
};

/**
 * LLaMA 1–3, SmolLM2, TinyLlama: pre-norm blocks with rotary grouped-query attention and a gated MLP (Touvron
 * et al. 2023).
 *
 *     h = x + attention(norm(x))
 *     y = h + mlp(norm(h))
 */
export const llama: Family<LlamaConfig, LlamaLayer> = {
  modelType: 'llama',
  names: LLAMA_NAMES,
  peftTargets: ['q_proj', 'v_proj'],

  readConfig(config) {
    // `pretraining_tp` changes no number: older versions of transformers cut products into so many parts
    const bias = config.boolean('attention_bias', false);
    return readLlamaConfig(config, {
      qkvBias: bias,
      outBias: bias,
      mlpBias: config.boolean('mlp_bias', false),
    });
  },

  norm: llamaNorm,

  buildLayer: (config, weights, at, i) => ({
    inputNorm: llamaNorm(config, weights, `${at}.input_layernorm`),
    attention: buildSeparateAttention(weights, `${at}.self_attn`, config.attention[i], config),
    mlpNorm: llamaNorm(config, weights, `${at}.post_attention_layernorm`),
    mlp: buildGatedMlp(weights, `${at}.mlp`, config),
  }),

  forward(layer, { activation }, pass, x) {
    const { ctx } = pass;
    const attentionInput = layer.inputNorm.forward(ctx, x, ctx.activationDtype);
    const attended = separateAttention(layer.attention, pass, attentionInput);
    // h = x + attended, and its norm, in one op
    const { sum: h, y: mlpInput } = layer.mlpNorm.forwardSum(ctx, x, attended, ctx.activationDtype);
    return residualSum(pass, h, gatedMlp(layer.mlp, activation, pass, mlpInput));
  },
};

/** RMS norm over the hidden size. */
export function llamaNorm(
  { hiddenSize: size, epsilon, isOffset }: LlamaConfig,
  weights: WeightSource,
  name: string,
): RmsNormLayer {
  return rmsNorm(weights, name, { size, epsilon, isOffset });
}

/** How a variant differs from Llama: values that replace Llama's, and defaults for keys that are missing. */
export interface LlamaDifferences extends Partial<Omit<LlamaConfig, 'attention'>> {
  readonly defaultMaxPositions?: number;
  readonly isTiedByDefault?: boolean;
  /** For families that rotate a share of each head, or name rope types differently. */
  readonly rope?: Pick<RopeOptions, 'partial' | 'originalMaxPositions' | 'typeNames'>;
  /** Window of layer i; 0: none. */
  readonly windowOf?: (i: number) => number;
}

/**
 * Reads the keys that Llama and its variants share.
 *
 * @throws QdyloraError BAD_CONFIG, UNSUPPORTED
 */
export function readLlamaConfig(
  config: CheckpointConfig,
  {
    defaultMaxPositions = 2048,
    isTiedByDefault = false,
    windowOf = () => 0,
    rope: ropeOptions = { partial: false },
    ...replaced
  }: LlamaDifferences,
): LlamaConfig {
  acceptOnly(config, 'attention_dropout', [0]);
  const hiddenSize = config.integer('hidden_size');
  const heads = config.integer('num_attention_heads');
  const namesKvHeads = Object.hasOwn(config.raw, 'num_key_value_heads'); // null: as many as query heads
  const defaults = familyDefaultsOf(config.modelType);
  const kvHeads = config.integer('num_key_value_heads', namesKvHeads ? heads : (defaults.kvHeads ?? heads));
  const headDim = config.integer('head_dim', defaults.headDim ?? hiddenSize / heads);
  const maxPositions = config.integer('max_position_embeddings', defaultMaxPositions);
  const layers = config.integer('num_hidden_layers');
  if (heads % kvHeads !== 0)
    throw refusedValue(config, 'num_key_value_heads', `a divisor of ${heads}`, kvHeads);
  const rope = readRope(config, { headDim, maxPositions, ...ropeOptions });
  const attention = Array.from({ length: layers }, (_, i) => ({
    ...PLAIN_ATTENTION,
    heads,
    kvHeads,
    headDim,
    scale: 1 / Math.sqrt(headDim),
    window: windowOf(i),
    rope,
  }));
  return {
    vocabularySize: config.integer('vocab_size'),
    hiddenSize,
    layers,
    maxPositions,
    positionLimit: rope.positionLimit ?? Infinity,
    initializerRange: config.number('initializer_range', 0.02),
    attention,
    epsilon: config.number('rms_norm_eps', 1e-6),
    tiedHead: config.boolean('tie_word_embeddings', isTiedByDefault),
    embeddingScale: 1,
    logitSoftCap: 0,
    intermediateSize: config.integer('intermediate_size'),
    activation: replaced.activation ?? readActivation(config, 'hidden_act', 'silu'),
    qkvBias: false,
    outBias: false,
    mlpBias: false,
    hasHeadNorms: false,
    isOffset: false,
    ...replaced,
  };
}
