import { llama3Frequencies, type RopeConfig } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';

/** Rotary embedding: pair p of a head is rotated by position · frequencies[p]. */
export interface RopeFrequencies {
  /** [rotaryDim / 2] */
  readonly frequencies: Float64Array;
  /** Factor on cos and sin: 1 except for YaRN and LongRoPE. */
  readonly scale: number;
  /** First position that is not supported (LongRoPE's long factors); left out where there is no limit. */
  readonly positionLimit?: number;
  /** Positions that scaling supports, where they are more than `max_position_embeddings`. */
  readonly reach?: number;
}

/** The rope types that `ropeFrequencies` implements. `factors` is that of GGUF files with `rope_freqs`. */
const ROPE_TYPES = ['default', 'linear', 'llama3', 'yarn', 'longrope', 'factors'] as const;

const CORRECT_CONFIG = 'Correct config.json, or take the checkpoint from its source again.';

/**
 * The frequencies θ^(−2p / rotaryDim) of each pair p, scaled by the config's rope type.
 *
 * @throws QdyloraError UNSUPPORTED for an unknown rope type; BAD_CONFIG for a missing parameter
 */
export function ropeFrequencies(rope: RopeConfig, rotaryDim: number, maxPositions: number): RopeFrequencies {
  if (!(rope.theta > 0))
    throw new QdyloraError('BAD_CONFIG', {
      where: 'rope',
      problem: `\`rope_theta\` must be greater than 0 (got ${rope.theta})`,
      nextStep: CORRECT_CONFIG,
    });
  const plain = Float64Array.from({ length: rotaryDim / 2 }, (_, p) => rope.theta ** ((-2 * p) / rotaryDim));
  switch (rope.type) {
    case 'default':
      return { frequencies: plain, scale: 1 };
    case 'linear':
      return {
        frequencies: plain.map((f) => f / needed(rope, 'factor')),
        scale: 1,
        ...reaching(maxPositions, needed(rope, 'factor')),
      };
    case 'factors':
      return { frequencies: plain.map((f, p) => f / rope.factors![p]), scale: 1 };
    case 'llama3':
      return { frequencies: llama3(plain, rope, maxPositions), scale: 1 };
    case 'yarn':
      return yarn(plain, rope, rotaryDim, maxPositions);
    case 'longrope':
      return longrope(plain, rope, maxPositions);
    default:
      throw new QdyloraError('UNSUPPORTED', {
        where: 'rope',
        problem: `The rope_type ${rope.type} is not implemented`,
        nextStep: `Supported are ${ROPE_TYPES.filter((type) => type !== 'factors').join(', ')}.`,
      });
  }
}

/** `original_max_position_embeddings`; `max_position_embeddings` where it is missing, as in transformers. */
const originalOf = (rope: RopeConfig, maxPositions: number): number =>
  rope.originalMaxPositionEmbeddings === undefined
    ? maxPositions
    : needed(rope, 'originalMaxPositionEmbeddings');

const reaching = (positions: number, factor: number): Pick<RopeFrequencies, 'reach'> =>
  factor > 1 ? { reach: Math.floor(positions * factor) } : {};

/** Llama 3.1: `llama3Frequencies`, all of whose parameters the config must have. */
const llama3 = (plain: Float64Array, rope: RopeConfig, maxPositions: number): Float64Array =>
  llama3Frequencies(plain, {
    factor: needed(rope, 'factor'),
    lowFreqFactor: needed(rope, 'lowFreqFactor'),
    highFreqFactor: needed(rope, 'highFreqFactor'),
    originalPositions: originalOf(rope, maxPositions),
  });

/**
 * YaRN (Peng et al. 2023): low frequencies are divided by the factor, high ones are kept, with a linear ramp
 * between; attention is scaled.
 */
function yarn(
  plain: Float64Array,
  rope: RopeConfig,
  rotaryDim: number,
  maxPositions: number,
): RopeFrequencies {
  const original = originalOf(rope, maxPositions);
  const factor = needed(rope, 'factor');
  const pairOf = (rotations: number): number =>
    (rotaryDim * Math.log(original / (rotations * 2 * Math.PI))) / (2 * Math.log(rope.theta));
  const truncate = !('truncate' in rope.raw) || rope.raw.truncate === true; // null is false in transformers
  const first = pairOf(rope.betaFast || 32);
  const last = pairOf(rope.betaSlow || 1);
  const low = Math.max(truncate ? Math.floor(first) : first, 0);
  const high = Math.min(truncate ? Math.ceil(last) : last, rotaryDim - 1);
  const span = low === high ? 0.001 : high - low;
  const frequencies = plain.map((f, p) => {
    const keep = 1 - Math.min(1, Math.max(0, (p - low) / span));
    return (f / factor) * (1 - keep) + f * keep;
  });
  const mscale = (scale: number): number => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);
  const defaultScale =
    rope.mscale && rope.mscaleAllDim ? mscale(rope.mscale) / mscale(rope.mscaleAllDim) : mscale(1);
  return {
    frequencies,
    scale: rope.attentionFactor ?? defaultScale,
    ...(original * factor > maxPositions && reaching(original, factor)),
  };
}

/**
 * LongRoPE (Ding et al. 2024) for sequences up to the original length: every frequency is divided by its
 * short factor, and attention is scaled for the full length. Longer sequences, whose tokens all use the
 * long factors, are not supported.
 */
function longrope(plain: Float64Array, rope: RopeConfig, maxPositions: number): RopeFrequencies {
  const original = originalOf(rope, maxPositions);
  const factor = rope.factor ?? maxPositions / original;
  const short = rope.raw.short_factor;
  if (
    !Array.isArray(short) ||
    short.length !== plain.length ||
    !short.every((value) => Number.isFinite(value) && value > 0)
  ) {
    throw new QdyloraError('BAD_CONFIG', {
      where: 'rope',
      problem:
        `\`short_factor\` of the rope type longrope must be ${plain.length} numbers greater than 0 ` +
        `(got ${Array.isArray(short) ? short.length : typeof short})`,
      nextStep: CORRECT_CONFIG,
    });
  }
  const scale =
    rope.attentionFactor ?? (factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original)));
  return {
    frequencies: plain.map((f, p) => f / (short[p] as number)),
    scale,
    positionLimit: original,
  };
}

/** Parameters that must be greater than 0, as a config spells them. */
const KEYS = {
  factor: 'factor',
  lowFreqFactor: 'low_freq_factor',
  highFreqFactor: 'high_freq_factor',
  originalMaxPositionEmbeddings: 'original_max_position_embeddings',
} as const;

function needed(rope: RopeConfig, parameter: keyof typeof KEYS): number {
  const value = rope[parameter];
  if (value === undefined || !(value > 0)) {
    const key = KEYS[parameter];
    throw new QdyloraError('BAD_CONFIG', {
      where: 'rope',
      problem: `\`${key}\` of the rope type ${rope.type} must be greater than 0 (got ${value ?? 'none'})`,
      nextStep: CORRECT_CONFIG,
      details: { key, got: value ?? null },
    });
  }
  return value;
}
