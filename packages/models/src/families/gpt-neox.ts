import type { ActivationKind } from '@qdylora/tensor';
import { readActivation } from '../config/read-activation.ts';
import { readRope } from '../config/read-rope.ts';
import { acceptOnly } from '../config/refuse-value.ts';
import { fusedAttention, type FusedAttention } from '../layers/fused-attention.ts';
import { layerNorm, type Norm } from '../layers/norm.ts';
import { plainMlp, type PlainMlp } from '../layers/plain-mlp.ts';
import { residualSum } from '../layers/residual-sum.ts';
import type { Family } from './family.ts';
import { PLAIN_ATTENTION, type FamilyConfig } from './family-config.ts';

export interface GptNeoxConfig extends FamilyConfig {
  readonly intermediateSize: number;
  readonly activation: ActivationKind;
  readonly attentionBias: boolean;
  readonly isParallel: boolean;
}

export interface GptNeoxLayer {
  readonly inputNorm: Norm;
  readonly attention: FusedAttention;
  readonly mlpNorm: Norm;
  readonly mlp: PlainMlp;
}

/**
 * GPT-NeoX and Pythia: parallel residual, layer norms, rotary embedding of a share of each head (Black et al.
 * 2022).
 *
 *     y = x + attention(norm(x)) + mlp(norm(x))
 *
 * With `use_parallel_residual: false` the MLP reads h = x + attention(norm(x)) instead of x.
 */
export const gptNeox: Family<GptNeoxConfig, GptNeoxLayer> = {
  modelType: 'gpt_neox',
  peftTargets: ['query_key_value'],
  names: {
    base: 'gpt_neox.',
    embedding: 'gpt_neox.embed_in',
    layers: 'gpt_neox.layers',
    norm: 'gpt_neox.final_layer_norm',
    head: 'embed_out',
  },

  readConfig(config) {
    for (const key of [
      'attention_dropout',
      'hidden_dropout',
      'attention_dropout_prob',
      'hidden_dropout_prob',
    ])
      acceptOnly(config, key, [0]);
    const hiddenSize = config.integer('hidden_size');
    const heads = config.integer('num_attention_heads');
    const headDim = Math.floor(hiddenSize / heads);
    const layers = config.integer('num_hidden_layers');
    const maxPositions = config.integer('max_position_embeddings', 2048);
    const rope = readRope(config, { headDim, maxPositions, partial: 0.25 });
    const attention = Array.from({ length: layers }, () => ({
      ...PLAIN_ATTENTION,
      heads,
      kvHeads: heads,
      headDim,
      scale: 1 / Math.sqrt(headDim),
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
      epsilon: config.number('layer_norm_eps', 1e-5),
      tiedHead: config.boolean('tie_word_embeddings', false),
      embeddingScale: 1,
      logitSoftCap: 0,
      intermediateSize: config.integer('intermediate_size', 24_576),
      activation: readActivation(config, 'hidden_act', 'gelu'),
      attentionBias: config.boolean('attention_bias', true),
      isParallel: config.boolean('use_parallel_residual', true),
    };
  },

  norm: (config, weights, name) => layerNorm(weights, name, config),

  buildLayer(config, weights, at) {
    const { hiddenSize, intermediateSize, attentionBias: bias } = config;
    return {
      inputNorm: layerNorm(weights, `${at}.input_layernorm`, config),
      attention: {
        queryKeyValue: weights.linear(`${at}.attention.query_key_value`, [3 * hiddenSize, hiddenSize], {
          bias,
        }),
        dense: weights.linear(`${at}.attention.dense`, [hiddenSize, hiddenSize], { bias }),
      },
      mlpNorm: layerNorm(weights, `${at}.post_attention_layernorm`, config),
      mlp: {
        up: weights.linear(`${at}.mlp.dense_h_to_4h`, [intermediateSize, hiddenSize], { bias: true }),
        down: weights.linear(`${at}.mlp.dense_4h_to_h`, [hiddenSize, intermediateSize], { bias: true }),
      },
    };
  },

  forward(layer, { activation, isParallel }, pass, x) {
    const { ctx } = pass;
    const attentionInput = layer.inputNorm.forward(ctx, x);
    const attended = fusedAttention(layer.attention, 'by kv head', pass, attentionInput);
    const h = residualSum(pass, x, attended);
    const mlpInput = layer.mlpNorm.forward(ctx, isParallel ? x : h);
    return residualSum(pass, h, plainMlp(layer.mlp, activation, pass, mlpInput));
  },
};
