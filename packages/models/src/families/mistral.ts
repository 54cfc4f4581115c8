import { readLayerTypes, readWindow } from '../config/read-windows.ts';
import type { Family } from './family.ts';
import { llama, readLlamaConfig, type LlamaConfig, type LlamaLayer } from './llama.ts';

/**
 * Mistral 7B: Llama with sliding-window attention in every layer (Jiang et al. 2023), or in those that
 * `layer_types` names: transformers reads such a config as Ministral.
 */
export const mistral: Family<LlamaConfig, LlamaLayer> = {
  ...llama,
  modelType: 'mistral',

  readConfig(config) {
    const window = readWindow(config);
    const types = readLayerTypes(config, {
      layers: config.integer('num_hidden_layers'),
      window,
      isSliding: () => window > 0,
    });
    return readLlamaConfig(config, {
      defaultMaxPositions: 131_072,
      windowOf: (i) => (types[i] === 'sliding_attention' ? window : 0),
    });
  },
};
