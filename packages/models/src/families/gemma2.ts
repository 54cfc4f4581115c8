import type { CheckpointConfig } from '@qdylora/checkpoint';
import type { RmsNormLayer } from '@qdylora/tensor';
import { readSoftCap } from '../config/read-soft-cap.ts';
import { readLayerTypes, readWindow, type LayerType } from '../config/read-windows.ts';
import { buildGatedMlp, gatedMlp } from '../layers/gated-mlp.ts';
import { residualSum } from '../layers/residual-sum.ts';
import { buildSeparateAttention, separateAttention } from '../layers/separate-attention.ts';
import type { AttentionConfig, Family } from './family.ts';
import { readGemmaConfig } from './gemma.ts';
import { llama, llamaNorm, type LlamaConfig, type LlamaDifferences, type LlamaLayer } from './llama.ts';

/** Each branch has a norm before and one after it. */
export interface Gemma2Layer extends LlamaLayer {
  readonly attentionOutNorm: RmsNormLayer;
  readonly mlpOutNorm: RmsNormLayer;
}

/**
 * Gemma 2: norms around each branch, every other layer with a window, soft caps on scores and logits (Gemma
 * Team 2024).
 */
export const gemma2: Family<LlamaConfig, Gemma2Layer> = {
  ...llama,
  modelType: 'gemma2',
  readConfig: (config) =>
    readGemma2Config(config, { isSliding: (i) => i % 2 === 0, softCaps: { scores: 50, logits: 30 } }),

  layer(config, weights, at, i) {
    const norm = (name: string): RmsNormLayer => llamaNorm(config, weights, `${at}.${name}`);
    return {
      inputNorm: norm('input_layernorm'),
      attention: buildSeparateAttention(weights, `${at}.self_attn`, config.attention[i]!, config),
      attentionOutNorm: norm('post_attention_layernorm'),
      mlpNorm: norm('pre_feedforward_layernorm'),
      mlp: buildGatedMlp(weights, `${at}.mlp`, config),
      mlpOutNorm: norm('post_feedforward_layernorm'),
    };
  },

  block(layer, { activation }, pass, x) {
    const { ctx } = pass;
    const attended = separateAttention(
      layer.attention,
      pass,
      layer.inputNorm.forward(ctx, x, ctx.activationDtype),
    );
    const { sum: h, y: normed } = layer.mlpNorm.forwardSum(
      ctx,
      x,
      layer.attentionOutNorm.forward(ctx, attended),
      ctx.activationDtype,
    );
    return residualSum(pass, h, layer.mlpOutNorm.forward(ctx, gatedMlp(layer.mlp, activation, pass, normed)));
  },
};

export interface Gemma2Options extends LlamaDifferences {
  readonly isSliding: (i: number) => boolean;
  /** Where the config does not say. */
  readonly softCaps: { readonly scores: number; readonly logits: number };
  /** What else a kind of layer has of its own. */
  readonly ofType?: (type: LayerType) => Partial<AttentionConfig>;
}

/** The keys of Gemma 2 and 3.  @throws QdyloraError BAD_CONFIG, UNSUPPORTED */
export function readGemma2Config(
  config: CheckpointConfig,
  { isSliding, softCaps, ofType = () => ({}), ...own }: Gemma2Options,
): LlamaConfig {
  const read = readGemmaConfig(config, {
    defaultKvHeads: 4,
    logitSoftCap: readSoftCap(config, 'final_logit_softcapping', softCaps.logits),
    ...own,
  });
  const window = readWindow(config, 4096);
  const types = readLayerTypes(config, { layers: read.layers, window, isSliding });
  const softCap = readSoftCap(config, 'attn_logit_softcapping', softCaps.scores);
  const scale = 1 / Math.sqrt(config.number('query_pre_attn_scalar', 256));
  const byType = { full_attention: ofType('full_attention'), sliding_attention: ofType('sliding_attention') };
  return {
    ...read,
    attention: read.attention.map((layer, i) => ({
      ...layer,
      scale,
      softCap,
      window: types[i] === 'sliding_attention' ? window : 0,
      ...byType[types[i]!],
    })),
  };
}
