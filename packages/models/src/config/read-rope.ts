import type { CheckpointConfig, RopeConfig } from '@qdylora/checkpoint';
import { ropeFrequencies, type RopeFrequencies } from './rope-frequencies.ts';
import { refusedValue } from './refuse-value.ts';

export interface RopeOptions {
  readonly headDim: number;
  readonly maxPositions: number;
  /** Kind of layer, where kinds differ. */
  readonly layerType?: string;
  /**
   * Share of a head that turns, where the config does not say; `false`: the family turns whole heads only.
   */
  readonly partial: number | false;
  /** Base, where the config does not say; 10,000 by default. */
  readonly theta?: number;
  /** Positions of pretraining, where the config does not say outside its rope parameters. */
  readonly originalMaxPositions?: number;
  /** Other words for a rope type in this family. */
  readonly typeNames?: Readonly<Record<string, string>>;
}

/**
 * How a family's heads turn. @throws QdyloraError UNSUPPORTED, BAD_CONFIG as `ropeFrequencies` does, and for
 * a partial rotation where the family has none
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
          theta: config.number('rope_theta', 10_000),
          partialRotaryFactor: 1,
          raw: {},
        });
  const saysOwn = (key: string): boolean => (read.raw[key] ?? null) !== null;
  const says = (...keys: readonly string[]): boolean => keys.some((key) => config.has(key) || saysOwn(key));
  const share = says('partial_rotary_factor', 'rotary_pct') ? read.partialRotaryFactor : partial || 1;
  const original = config.has('original_max_position_embeddings')
    ? config.integer('original_max_position_embeddings')
    : (originalMaxPositions ?? read.originalMaxPositionEmbeddings); // the outer one counts
  const rope: RopeConfig = {
    ...read,
    type: typeNames[read.type] ?? read.type,
    theta: (
      layerType === 'sliding_attention'
        ? saysOwn('rope_theta') || config.has('rope_local_base_freq')
        : says('rope_theta', 'rotary_emb_base')
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
