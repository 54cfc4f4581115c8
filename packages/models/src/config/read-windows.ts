import type { CheckpointConfig } from '@qdylora/checkpoint';
import { refusedValue } from './refuse-value.ts';

export const LAYER_TYPES = ['full_attention', 'sliding_attention'] as const;
export type LayerType = (typeof LAYER_TYPES)[number];

/**
 * The type of each layer: from `layer_types`, otherwise by the family's rule `isSliding`.
 *
 * @throws QdyloraError UNSUPPORTED for an unknown type, and for a sliding layer where `window` is 0 (none);
 * BAD_CONFIG for a list of another length
 */
export function readLayerTypes(
  config: CheckpointConfig,
  {
    layers,
    window,
    isSliding,
  }: { readonly layers: number; readonly window: number; readonly isSliding: (i: number) => boolean },
): LayerType[] {
  const types =
    listedTypes(config, layers) ??
    Array.from({ length: layers }, (_, i): LayerType =>
      isSliding(i) ? 'sliding_attention' : 'full_attention',
    );
  if (window === 0 && types.includes('sliding_attention'))
    throw refusedValue(
      config,
      'sliding_window',
      'a window size, because its layer_types have sliding attention',
      config.raw.sliding_window ?? null,
    );
  return types;
}

function listedTypes(config: CheckpointConfig, layers: number): LayerType[] | null {
  if (!config.has('layer_types')) return null;
  const types = config.strings('layer_types');
  const unknown = types.find((type) => !(LAYER_TYPES as readonly string[]).includes(type));
  if (unknown !== undefined) throw refusedValue(config, 'layer_types', LAYER_TYPES.join(' or '), unknown);
  if (types.length !== layers) throw config.wrong(`a list of ${layers} kinds`, 'layer_types');
  return types as LayerType[];
}

/**
 * Reads `sliding_window`: 0 if it is null, `otherwise` if the key is missing.
 *
 * @throws QdyloraError BAD_CONFIG unless it is null or a whole number ≥ 1
 */
export function readWindow(config: CheckpointConfig, otherwise: number): number {
  if (!Object.hasOwn(config.raw, 'sliding_window')) return otherwise;
  if (!config.has('sliding_window')) return 0;
  const window = config.integer('sliding_window');
  if (window < 1) throw config.wrong('null or a whole number ≥ 1', 'sliding_window');
  return window;
}
