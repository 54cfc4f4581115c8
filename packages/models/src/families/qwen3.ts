import type { Family } from './family.ts';
import { llama, readLlamaConfig, type LlamaConfig, type LlamaLayer } from './llama.ts';
import { qwenWindows } from './qwen2.ts';

/**
 * Qwen 3, dense models: Qwen 2 with an RMS norm of each head of q and k before the rotary embedding, and
 * without biases unless `attention_bias` asks for them (Yang et al. 2025).
 */
export const qwen3: Family<LlamaConfig, LlamaLayer> = {
  ...llama,
  modelType: 'qwen3',

  readConfig(config) {
    const bias = config.boolean('attention_bias', false);
    return readLlamaConfig(config, {
      qkvBias: bias,
      outBias: bias,
      hasHeadNorms: true,
      defaultMaxPositions: 32_768,
      windowOf: qwenWindows(config),
    });
  },
};
