import type { ActivationKind } from '@qdylora/tensor';
import { readActivation } from '../config/read-activation.ts';
import { acceptOnly } from '../config/refuse-value.ts';
import { fusedAttention, type FusedAttention } from '../layers/fused-attention.ts';
import { layerNorm, type Norm } from '../layers/norm.ts';
import { plainMlp, type PlainMlp } from '../layers/plain-mlp.ts';
import { residualSum } from '../layers/residual-sum.ts';
import type { Family } from './family.ts';
import { PLAIN_ATTENTION, type FamilyConfig } from './family-config.ts';

export interface Gpt2Config extends FamilyConfig {
  readonly intermediateSize: number;
  readonly activation: ActivationKind;
}

export interface Gpt2Layer {
  readonly inputNorm: Norm;
  readonly attention: FusedAttention;
  readonly mlpNorm: Norm;
  readonly mlp: PlainMlp;
}

/**
 * GPT-2: learned positions, layer norms, an MLP without a gate; checkpoints store matrices as [in, out]
 * (Radford et al. 2019).
 *
 *     h = x + attention(norm(x))
 *     y = h + mlp(norm(h))
 */
export const gpt2: Family<Gpt2Config, Gpt2Layer> = {
  modelType: 'gpt2',
  peftTargets: ['c_attn'],
  storesInOut: true,
  names: {
    base: 'transformer.',
    embedding: 'transformer.wte',
    positions: 'transformer.wpe',
    layers: 'transformer.h',
    norm: 'transformer.ln_f',
    head: 'lm_head',
  },

  readConfig(config) {
    for (const key of ['scale_attn_by_inverse_layer_idx', 'add_cross_attention'])
      acceptOnly(config, key, [false]);
    const hiddenSize = config.integer('n_embd', 768);
    const heads = config.integer('n_head', 12);
    const headDim = Math.floor(hiddenSize / heads);
    const layers = config.integer('n_layer', 12);
    const maxPositions = config.integer('n_positions', 1024);
    const scale = config.boolean('scale_attn_weights', true) ? 1 / Math.sqrt(headDim) : 1;
    return {
      vocabularySize: config.integer('vocab_size', 50_257),
      hiddenSize,
      layers,
      maxPositions,
      positionLimit: maxPositions,
      initializerRange: config.number('initializer_range', 0.02),
      attention: Array.from({ length: layers }, () => ({
        ...PLAIN_ATTENTION,
        heads,
        kvHeads: heads,
        headDim,
        scale,
      })),
      epsilon: config.number('layer_norm_epsilon', 1e-5),
      tiedHead: config.boolean('tie_word_embeddings', true),
      embeddingScale: 1,
      logitSoftCap: 0,
      intermediateSize: config.integer('n_inner', 4 * hiddenSize),
      activation: readActivation(config, 'activation_function', 'gelu_new'),
    };
  },

  norm: (config, weights, name) => layerNorm(weights, name, config),

  buildLayer(config, weights, at) {
    const { hiddenSize, intermediateSize } = config;
    const bias = true;
    return {
      inputNorm: layerNorm(weights, `${at}.ln_1`, config),
      attention: {
        queryKeyValue: weights.linear(`${at}.attn.c_attn`, [3 * hiddenSize, hiddenSize], { bias }),
        dense: weights.linear(`${at}.attn.c_proj`, [hiddenSize, hiddenSize], { bias }),
      },
      mlpNorm: layerNorm(weights, `${at}.ln_2`, config),
      mlp: {
        up: weights.linear(`${at}.mlp.c_fc`, [intermediateSize, hiddenSize], { bias }),
        down: weights.linear(`${at}.mlp.c_proj`, [hiddenSize, intermediateSize], { bias }),
      },
    };
  },

  forward(layer, { activation }, pass, x) {
    const { ctx } = pass;
    const attentionInput = layer.inputNorm.forward(ctx, x);
    const attended = fusedAttention(layer.attention, 'side by side', pass, attentionInput);
    const h = residualSum(pass, x, attended);
    const mlpInput = layer.mlpNorm.forward(ctx, h);
    return residualSum(pass, h, plainMlp(layer.mlp, activation, pass, mlpInput));
  },
};
