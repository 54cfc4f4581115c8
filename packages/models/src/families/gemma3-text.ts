import { DEFAULT_THETA, FAMILY_DEFAULTS } from '@qdylora/checkpoint';
import { readRope } from '../config/read-rope.ts';
import { LAYER_TYPES } from '../config/read-windows.ts';
import { refusedValue } from '../config/refuse-value.ts';
import type { Family } from './family.ts';
import { gemma2, readGemma2Config, type Gemma2Layer } from './gemma2.ts';
import type { LlamaConfig } from './llama.ts';

/**
 * Gemma 3, text only: Gemma 2 with RMS norms of q and k in place of soft caps, and another rotary base in
 * layers with a window (Gemma Team 2025).
 */
export const gemma3Text: Family<LlamaConfig, Gemma2Layer> = {
  ...gemma2,
  modelType: 'gemma3_text',

  readConfig(config) {
    // transformers reads this key and ignores it
    if (config.has('attn_logit_softcapping'))
      throw refusedValue(config, 'attn_logit_softcapping', 'null', config.raw.attn_logit_softcapping);
    const parameters = config.raw.rope_parameters as Readonly<Record<string, unknown>> | null | undefined;
    if (parameters && !LAYER_TYPES.some((type) => Object.hasOwn(parameters, type)))
      throw refusedValue(config, 'rope_parameters', 'one entry for each kind of layer', parameters);
    const defaults = FAMILY_DEFAULTS.gemma3_text;
    const headDim = config.integer('head_dim', defaults.headDim);
    const maxPositions = config.integer('max_position_embeddings', 131_072);
    return readGemma2Config(config, {
      windowPeriod: config.integer('sliding_window_pattern', defaults.windowPeriod),
      softCaps: { scores: 0, logits: 0 },
      hasHeadNorms: true,
      defaultMaxPositions: maxPositions,
      ofType: (layerType) => ({
        rope: readRope(config, {
          headDim,
          maxPositions,
          layerType,
          partial: false,
          theta: layerType === 'full_attention' ? defaults.theta : DEFAULT_THETA,
        }),
      }),
    });
  },
};
