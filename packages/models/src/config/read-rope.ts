import type { CheckpointConfig, RopeConfig } from '@qdylora/checkpoint';
import { ropeFrequencies, type RopeFrequencies } from '../rope-frequencies.ts';
import { refusedValue } from './refuse-value.ts';

export interface RopeOptions {
  readonly headDim: number; readonly maxPositions: number;
  /** Kind of layer, where kinds differ. */
  readonly layerType?: string;
  /** Share of a head that turns, where the config does not say; `false`: the family turns whole heads only. */
  readonly partial: number | false;
  /** Base, where the config does not say; 10,000 by default. */
  readonly theta?: number;
  /** Other words for a rope type in this family. */
  readonly typeNames?: Readonly<Record<string, string>>;
}

/** How a family's heads turn.  @throws QdyloraError UNSUPPORTED, BAD_CONFIG as `ropeFrequencies` does, and for a partial rotation where the family has none */
export function readRope(config: CheckpointConfig, { headDim, maxPositions, layerType, partial, theta, typeNames = {} }: RopeOptions): RopeFrequencies {
  const read = layerType === undefined ? config.rope : config.ropeOf(layerType);
  const says = (...keys: readonly string[]): boolean => keys.some((key) => config.has(key) || (read.raw[key] ?? null) !== null);
  const share = says('partial_rotary_factor', 'rotary_pct') ? read.partialRotaryFactor : partial || 1;
  const original = read.originalMaxPositionEmbeddings ?? (config.has('original_max_position_embeddings') ? config.integer('original_max_position_embeddings') : undefined);
  const rope: RopeConfig = {
    ...read, type: typeNames[read.type] ?? read.type, theta: says('rope_theta', 'rotary_emb_base', 'rope_local_base_freq') ? read.theta : theta ?? read.theta,
    ...(original !== undefined && { originalMaxPositionEmbeddings: original }),
  };
  if (partial === false && share !== 1) throw refusedValue(config, 'partial_rotary_factor', '1', share);
  const rotaryDim = Math.floor(headDim * share);
  if (rotaryDim < 2 || rotaryDim > headDim || rotaryDim % 2 !== 0) throw refusedValue(config, 'partial_rotary_factor', `a share of ${headDim} dimensions that is an even number`, share);
  return ropeFrequencies(rope, rotaryDim, maxPositions);
}
