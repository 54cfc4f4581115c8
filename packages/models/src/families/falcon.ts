import type { CheckpointConfig } from '@qdylora/checkpoint';
import { roundToBfloat16 } from '@qdylora/contract';
import type { ActivationKind } from '@qdylora/tensor';
import { readActivation } from '../config/read-activation.ts';
import { readRope } from '../config/read-rope.ts';
import { acceptOnly, refusedValue } from '../config/refuse-value.ts';
import { alibiSlopes } from '../config/alibi-slopes.ts';
import { fusedAttention, type FusedAttention } from '../layers/fused-attention.ts';
import { layerNorm, type Norm } from '../layers/norm.ts';
import { plainMlp, type PlainMlp } from '../layers/plain-mlp.ts';
import { residualSum } from '../layers/residual-sum.ts';
import type { WeightSource } from '../weights/weight-source.ts';
import type { Family } from './family.ts';
import { PLAIN_ATTENTION, type FamilyConfig } from './family-config.ts';

/**
 * Input of the MLP: `shared norm`: the input of attention (7b, 11b); `second norm`: another norm of the
 * block's input (40b); `after attention`: a norm of x + attention, as in GPT-2 (rw).
 */
type MlpInput = 'shared norm' | 'second norm' | 'after attention';

export interface FalconConfig extends FamilyConfig {
  readonly intermediateSize: number;
  readonly activation: ActivationKind;
  readonly hasBias: boolean;
  readonly mlpInput: MlpInput;
}

export interface FalconLayer {
  readonly attentionNorm: Norm;
  readonly mlpNorm: Norm | null;
  readonly attention: FusedAttention;
  readonly mlp: PlainMlp;
}

/**
 * Falcon: attention and MLP in parallel, multi-query or grouped-query attention with one matrix for q, k
 * and v (Almazrouei et al. 2023).
 *
 *     h = x + attention(attentionNorm(x))
 *     y = h + mlp(input)    input: see `MlpInput`
 */
export const falcon: Family<FalconConfig, FalconLayer> = {
  modelType: 'falcon',
  peftTargets: ['query_key_value'],
  readConfig: readFalconConfig,
  packedNotice:
    "transformers 5.24 cannot load this folder, because it does not quantize Falcon's own class of linear " +
    'layers. qdylora loads it.',
  names: {
    base: 'transformer.',
    embedding: 'transformer.word_embeddings',
    layers: 'transformer.h',
    norm: 'transformer.ln_f',
    head: 'lm_head',
  },
  norm: (config, weights, name) => layerNorm(weights, name, config),

  buildLayer(config, weights, at, i) {
    const { hiddenSize, intermediateSize, hasBias: bias } = config;
    const { heads, kvHeads, headDim } = config.attention[i];
    return {
      ...norms(config, weights, at),
      attention: {
        queryKeyValue: weights.linear(
          `${at}.self_attention.query_key_value`,
          [(heads + 2 * kvHeads) * headDim, hiddenSize],
          { bias },
        ),
        dense: weights.linear(`${at}.self_attention.dense`, [hiddenSize, heads * headDim], { bias }),
      },
      mlp: {
        up: weights.linear(`${at}.mlp.dense_h_to_4h`, [intermediateSize, hiddenSize], { bias }),
        down: weights.linear(`${at}.mlp.dense_4h_to_h`, [hiddenSize, intermediateSize], { bias }),
      },
    };
  },

  forward({ attentionNorm, mlpNorm, attention, mlp }, { activation, mlpInput }, pass, x) {
    const { ctx } = pass;
    const attentionInput = attentionNorm.forward(ctx, x);
    const attended = fusedAttention(attention, 'by kv head', pass, attentionInput);
    const h = residualSum(pass, x, attended);
    const input = mlpNorm ? mlpNorm.forward(ctx, mlpInput === 'after attention' ? h : x) : attentionInput;
    return residualSum(pass, h, plainMlp(mlp, activation, pass, input));
  },
};

function norms(
  config: FalconConfig,
  weights: WeightSource,
  at: string,
): Pick<FalconLayer, 'attentionNorm' | 'mlpNorm'> {
  const norm = (name: string): Norm => layerNorm(weights, `${at}.${name}`, config);
  switch (config.mlpInput) {
    case 'shared norm':
      return { attentionNorm: norm('input_layernorm'), mlpNorm: null };
    case 'second norm':
      return { attentionNorm: norm('ln_attn'), mlpNorm: norm('ln_mlp') };
    case 'after attention':
      return { attentionNorm: norm('input_layernorm'), mlpNorm: norm('post_attention_layernorm') };
  }
}

function readFalconConfig(config: CheckpointConfig): FalconConfig {
  for (const key of ['attention_dropout', 'hidden_dropout']) acceptOnly(config, key, [0]);
  acceptOnly(config, 'apply_residual_connection_post_layernorm', [false]);
  const hiddenSize = config.integer('hidden_size', 4544);
  const heads = config.integer('num_attention_heads', 71);
  const headDim = Math.floor(hiddenSize / heads);
  const layers = config.integer('num_hidden_layers', 32);
  const maxPositions = config.integer('max_position_embeddings', 2048);
  const kvHeads = kvHeadsOf(config, heads);
  const scale = 1 / Math.sqrt(headDim);
  if (heads % kvHeads !== 0) throw refusedValue(config, 'num_kv_heads', `a divisor of ${heads}`, kvHeads);
  const hasAlibi = config.boolean('alibi', false);
  const rope = hasAlibi ? null : readRope(config, { headDim, maxPositions, partial: false });
  // Falcon adds ALiBi before the division by √headDim, and rounds the slopes to bfloat16. transformers also
  // rounds slope · position to bfloat16, so far keys of one head share a bias there; here they don't. It adds
  // ALiBi once in its default attention (sdpa), as here, and twice in its eager one.
  const slopes = hasAlibi
    ? Float32Array.from(alibiSlopes(heads), (slope) => roundToBfloat16(slope) * scale)
    : null;
  return {
    vocabularySize: config.integer('vocab_size', 65_024),
    hiddenSize,
    layers,
    maxPositions,
    positionLimit: rope?.positionLimit ?? Infinity,
    initializerRange: config.number('initializer_range', 0.02),
    attention: Array.from({ length: layers }, () => ({
      ...PLAIN_ATTENTION,
      heads,
      kvHeads,
      headDim,
      scale,
      rope,
      alibiSlopes: slopes,
    })),
    epsilon: config.number('layer_norm_epsilon', 1e-5),
    tiedHead: config.boolean('tie_word_embeddings', true),
    embeddingScale: 1,
    logitSoftCap: 0,
    intermediateSize: config.integer('ffn_hidden_size', 4 * hiddenSize),
    activation: readActivation(config, 'activation', 'gelu'),
    hasBias: config.boolean('bias', false),
    mlpInput: mlpInputOf(config),
  };
}

/** The new architecture has `num_kv_heads`; the old one has 1 (`multi_query`) or as many as query heads. */
function kvHeadsOf(config: CheckpointConfig, heads: number): number {
  if (config.boolean('new_decoder_architecture', false)) return config.integer('num_kv_heads', heads);
  return config.boolean('multi_query', true) ? 1 : heads;
}

function mlpInputOf(config: CheckpointConfig): MlpInput {
  const isNew = config.boolean('new_decoder_architecture', false);
  const isParallel = config.boolean('parallel_attn', true);
  const normCount = config.integer('num_ln_in_parallel_attn', 2);
  if (!isNew) return isParallel ? 'shared norm' : 'after attention';
  if (!isParallel) throw refusedValue(config, 'parallel_attn', 'true with new_decoder_architecture', false);
  if (normCount !== 1 && normCount !== 2)
    throw refusedValue(config, 'num_ln_in_parallel_attn', '1 or 2', normCount);
  return normCount === 2 ? 'second norm' : 'shared norm';
}
