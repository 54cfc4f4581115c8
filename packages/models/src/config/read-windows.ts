import { familyDefaultsOf, type CheckpointConfig } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { refusedValue } from './refuse-value.ts';

export const LAYER_TYPES = ['full_attention', 'sliding_attention'] as const;
export type LayerType = (typeof LAYER_TYPES)[number];

/** Older names in `layer_types`, which transformers reads too. */
const OLDER_NAMES: ReadonlyMap<string, string> = new Map([['attention', 'full_attention']]);

export interface LayerTypeOptions {
  readonly layers: number;
  /** 0: none. */
  readonly window: number;
  /** There is no window because `use_sliding_window` is false. */
  readonly isSwitchedOff?: boolean;
  /** The family's rule for layer i. */
  readonly isSliding: (i: number) => boolean;
}

/**
 * The type of each layer: from `layer_types`, otherwise by the family's rule `isSliding`.
 *
 * @throws QdyloraError UNSUPPORTED for an unknown type, and for a sliding layer where `window` is 0 (none);
 * BAD_CONFIG for a list of another length
 */
export function readLayerTypes(
  config: CheckpointConfig,
  { layers, window, isSwitchedOff = false, isSliding }: LayerTypeOptions,
): LayerType[] {
  const types =
    listedTypes(config, layers) ??
    Array.from({ length: layers }, (_, i): LayerType =>
      isSliding(i) ? 'sliding_attention' : 'full_attention',
    );
  if (window > 0 || !types.includes('sliding_attention')) return types;
  const [key, needed] = isSwitchedOff ? ['use_sliding_window', 'true'] : ['sliding_window', 'a window size'];
  throw refusedValue(
    config,
    key,
    `${needed}, because its layer_types have sliding attention`,
    config.raw[key] ?? null,
  );
}

function listedTypes(config: CheckpointConfig, layers: number): LayerType[] | null {
  if (!config.has('layer_types')) return null;
  const types = config.strings('layer_types').map((type) => OLDER_NAMES.get(type) ?? type);
  const unknown = types.find((type) => !(LAYER_TYPES as readonly string[]).includes(type));
  if (unknown !== undefined) throw refusedValue(config, 'layer_types', LAYER_TYPES.join(' or '), unknown);
  if (types.length !== layers)
    throw new QdyloraError('BAD_CONFIG', {
      where: config.path,
      problem: `\`layer_types\` must have ${layers} entries, one for each layer (got ${types.length})`,
      nextStep: 'Correct the file, or take the checkpoint from its source again.',
      details: { key: 'layer_types', got: types },
    });
  return types as LayerType[];
}

/**
 * Reads `sliding_window`: 0 if it is null, the family's default if the key is missing (0: none).
 *
 * @throws QdyloraError BAD_CONFIG unless it is null or a whole number ≥ 1
 */
export function readWindow(config: CheckpointConfig): number {
  if (!Object.hasOwn(config.raw, 'sliding_window')) return familyDefaultsOf(config.modelType).window ?? 0;
  if (!config.has('sliding_window')) return 0;
  const window = config.integer('sliding_window');
  if (window < 1) throw config.wrong('null or a whole number ≥ 1', 'sliding_window');
  return window;
}
