import type { CheckpointConfig } from '@qdylora/checkpoint';
import { readLayerTypes, readWindow } from '../config/read-windows.ts';
import type { Family } from './family.ts';
import { llama, readLlamaConfig, type LlamaConfig, type LlamaLayer } from './llama.ts';

/**
 * Qwen 2 and 2.5: Llama with biases on q, k and v (Yang et al. 2024). With `use_sliding_window`, layers from
 * `max_window_layers` on use sliding-window attention.
 */
export const qwen2: Family<LlamaConfig, LlamaLayer> = {
  ...llama,
  modelType: 'qwen2',
  readConfig: (config) =>
    readLlamaConfig(config, {
      qkvBias: true,
      defaultMaxPositions: 32_768,
      windowOf: qwenWindows(config),
    }),
};

/** The window of each layer of Qwen 2 and 3; 0: none. */
export function qwenWindows(config: CheckpointConfig): (i: number) => number {
  const usesWindow = config.boolean('use_sliding_window', false);
  const window = usesWindow ? readWindow(config) : 0;
  const firstWindowed = config.integer('max_window_layers', 28);
  const types = readLayerTypes(config, {
    layers: config.integer('num_hidden_layers'),
    window,
    isSwitchedOff: !usesWindow,
    isSliding: (i) => window > 0 && i >= firstWindowed,
  });
  return (i) => (types[i] === 'sliding_attention' ? window : 0);
}
