import { FAMILY_DEFAULTS, familyDefaultsOf, type CheckpointConfig } from '@qdylora/checkpoint';
import type { RmsNormLayer } from '@qdylora/tensor';
import { readSoftCap } from '../config/read-soft-cap.ts';
import { readLayerTypes, readWindow, type LayerType } from '../config/read-windows.ts';
import { buildGatedMlp, gatedMlp } from '../layers/gated-mlp.ts';
import { residualSum } from '../layers/residual-sum.ts';
import { buildSeparateAttention, separateAttention } from '../layers/separate-attention.ts';
import type { AttentionConfig } from './family-config.ts';
import type { Family } from './family.ts';
import { readGemmaConfig } from './gemma.ts';
import { llama, llamaNorm, type LlamaConfig, type LlamaDifferences, type LlamaLayer } from './llama.ts';

/** Each branch has a norm before it and a norm after it. */
export interface Gemma2Layer extends LlamaLayer {
  readonly attentionOutNorm: RmsNormLayer;
  readonly mlpOutNorm: RmsNormLayer;
}

const DEFAULTS = FAMILY_DEFAULTS.gemma2;

/**
 * Gemma 2: a norm after each branch too, sliding-window attention in every other layer, soft caps on
 * attention scores and logits (Gemma Team 2024).
 *
 *     h = x + norm(attention(norm(x)))
 *     y = h + norm(mlp(norm(h)))
 */
export const gemma2: Family<LlamaConfig, Gemma2Layer> = {
  ...llama,
  modelType: 'gemma2',
  readConfig: (config) =>
    readGemma2Config(config, {
      windowPeriod: DEFAULTS.windowPeriod,
      softCaps: { scores: DEFAULTS.scoreSoftCap, logits: DEFAULTS.logitSoftCap },
    }),

  buildLayer(config, weights, at, i) {
    const norm = (name: string): RmsNormLayer => llamaNorm(config, weights, `${at}.${name}`);
    return {
      inputNorm: norm('input_layernorm'),
      attention: buildSeparateAttention(weights, `${at}.self_attn`, config.attention[i], config),
      attentionOutNorm: norm('post_attention_layernorm'),
      mlpNorm: norm('pre_feedforward_layernorm'),
      mlp: buildGatedMlp(weights, `${at}.mlp`, config),
      mlpOutNorm: norm('post_feedforward_layernorm'),
    };
  },

  forward(layer, { activation }, pass, x) {
    const { ctx } = pass;
    const attentionInput = layer.inputNorm.forward(ctx, x, ctx.activationDtype);
    const attended = separateAttention(layer.attention, pass, attentionInput);
    const attentionBranch = layer.attentionOutNorm.forward(ctx, attended);
    // h = x + attentionBranch, and its norm, in one op
    const { sum: h, y: mlpInput } = layer.mlpNorm.forwardSum(ctx, x, attentionBranch, ctx.activationDtype);
    const mlpBranch = layer.mlpOutNorm.forward(ctx, gatedMlp(layer.mlp, activation, pass, mlpInput));
    return residualSum(pass, h, mlpBranch);
  },
};

export interface Gemma2Options extends LlamaDifferences {
  /** The last of so many layers has no window, where the config does not list the layers. */
  readonly windowPeriod: number;
  /** Defaults for the soft caps; 0: none. */
  readonly softCaps: { readonly scores: number; readonly logits: number };
  /** Values that differ between layers with a window and layers without. */
  readonly ofType?: (type: LayerType) => Partial<AttentionConfig>;
}

/**
 * Reads the keys that Gemma 2 and 3 share.
 *
 * @throws QdyloraError BAD_CONFIG, UNSUPPORTED
 */
export function readGemma2Config(
  config: CheckpointConfig,
  { windowPeriod, softCaps, ofType = () => ({}), ...differences }: Gemma2Options,
): LlamaConfig {
  const gemma1 = readGemmaConfig(config, {
    logitSoftCap: readSoftCap(config, 'final_logit_softcapping', softCaps.logits),
    ...differences,
  });
  const window = readWindow(config);
  const types = readLayerTypes(config, {
    layers: gemma1.layers,
    window,
    isSliding: (i) => (i + 1) % windowPeriod !== 0,
  });
  const softCap = readSoftCap(config, 'attn_logit_softcapping', softCaps.scores);
  const scale =
    1 / Math.sqrt(config.number('query_pre_attn_scalar', familyDefaultsOf(config.modelType).queryScalar));
  const byType = { full_attention: ofType('full_attention'), sliding_attention: ofType('sliding_attention') };
  return {
    ...gemma1,
    attention: gemma1.attention.map((layer, i) => ({
      ...layer,
      scale,
      softCap,
      window: types[i] === 'sliding_attention' ? window : 0,
      ...byType[types[i]],
    })),
  };
}
