import { readWindow } from '../config/read-windows.ts';
import type { Family } from './family.ts';
import { llama, readLlamaConfig, type LlamaConfig, type LlamaLayer } from './llama.ts';

/** Mistral 7B: Llama with sliding-window attention in every layer (Jiang et al. 2023). */
export const mistral: Family<LlamaConfig, LlamaLayer> = {
  ...llama,
  modelType: 'mistral',

  readConfig(config) {
    const window = readWindow(config, 4096);
    return readLlamaConfig(config, {
      defaultKvHeads: 8,
      defaultMaxPositions: 131_072,
      windowOf: () => window,
    });
  },
};
