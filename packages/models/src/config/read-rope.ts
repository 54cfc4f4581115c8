import { DEFAULT_THETA, outerRopeKeys, type CheckpointConfig, type RopeConfig } from '@qdylora/checkpoint';
import { ropeFrequencies, type RopeFrequencies } from './rope-frequencies.ts';
import { refusedValue } from './refuse-value.ts';

export interface RopeOptions {
  readonly headDim: number;
  readonly maxPositions: number;
  /** Entry of `rope_parameters` in families whose layers differ (Gemma 3). */
  readonly layerType?: string;
  /** Default for the share of a head that is rotated; `false`: this family rotates whole heads only. */
  readonly partial: number | false;
  /** Default for the base θ; `DEFAULT_THETA` by default. */
  readonly theta?: number;
  /** Default for `original_max_position_embeddings`, before the value in the rope parameters. */
  readonly originalMaxPositions?: number;
  /** Other names of rope types in this family. */
  readonly typeNames?: Readonly<Record<string, string>>;
}

/**
 * Reads the rotary embedding of a family or of one kind of its layers.
 *
 * @throws QdyloraError UNSUPPORTED, BAD_CONFIG as `ropeFrequencies`; UNSUPPORTED for a partial rotation in a
 * family that has none
 */
export function readRope(
  config: CheckpointConfig,
  { headDim, maxPositions, layerType, partial, theta, originalMaxPositions, typeNames = {} }: RopeOptions,
): RopeFrequencies {
  const read =
    layerType === undefined
      ? config.rope
      : (config.ropeOf(layerType) ?? {
          type: 'default',
          theta: config.number('rope_theta', DEFAULT_THETA),
          partialRotaryFactor: 1,
          raw: {},
        });
  const isInRope = (key: string): boolean => (read.raw[key] ?? null) !== null;
  const outer = outerRopeKeys(config.modelType);
  const hasShare = isInRope('partial_rotary_factor') || config.has(outer.partial);
  const share = hasShare ? read.partialRotaryFactor : partial || 1;
  // the outer key wins, but in families whose layers differ
  const original =
    layerType === undefined && config.has('original_max_position_embeddings')
      ? config.integer('original_max_position_embeddings')
      : (originalMaxPositions ?? read.originalMaxPositionEmbeddings);
  const rope: RopeConfig = {
    ...read,
    raw: layerType === undefined ? read.raw : withOuterTruncate(read.raw, config.raw.rope_parameters),
    type: typeNames[read.type] ?? read.type,
    theta: (
      layerType === 'sliding_attention'
        ? isInRope('rope_theta') || config.has('rope_local_base_freq')
        : isInRope('rope_theta') || config.has(outer.theta)
    )
      ? read.theta
      : (theta ?? read.theta),
    ...(original !== undefined && { originalMaxPositionEmbeddings: original }),
  };
  if (partial === false && share !== 1) throw refusedValue(config, 'partial_rotary_factor', '1', share);
  const rotaryDim = Math.floor(headDim * share);
  if (rotaryDim < 2 || rotaryDim > headDim || rotaryDim % 2 !== 0)
    throw refusedValue(
      config,
      'partial_rotary_factor',
      `a share of ${headDim} dimensions that is an even number`,
      share,
    );
  return ropeFrequencies(rope, rotaryDim, maxPositions);
}

/** transformers reads YaRN's `truncate` beside the entries of the kinds of layers, not in them. */
function withOuterTruncate(entry: RopeConfig['raw'], parameters: unknown): RopeConfig['raw'] {
  const { truncate } = (parameters ?? {}) as { readonly truncate?: unknown };
  const { truncate: _, ...others } = entry;
  return truncate === undefined ? others : { ...others, truncate };
}
