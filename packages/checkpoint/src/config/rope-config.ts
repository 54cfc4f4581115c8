import type { ConfigReader } from './config-reader.ts';
import { DEFAULT_THETA, familyDefaultsOf } from './family-defaults.ts';
import { isRecord } from '../json/is-record.ts';
import { canonicalJson } from '../write/canonical-json.ts';

/**
 * Rotary embedding parameters in one spelling. `type` is the value in the config (`default`, `linear`,
 * `llama3`, `yarn`, `dynamic`, `longrope`, …), or `factors` for a GGUF file that stores a divisor for every
 * frequency.
 */
export interface RopeConfig {
  readonly type: string;
  readonly theta: number;
  /** Fraction of each head's dimensions that is rotated; 1 if the config does not set it. */
  readonly partialRotaryFactor: number;
  readonly factor?: number;
  readonly originalMaxPositionEmbeddings?: number;
  readonly lowFreqFactor?: number;
  readonly highFreqFactor?: number;
  readonly attentionFactor?: number;
  readonly betaFast?: number;
  readonly betaSlow?: number;
  readonly mscale?: number;
  readonly mscaleAllDim?: number;
  /** Only with `type: 'factors'`: the divisor of every frequency, [rotary dimensions / 2]. */
  readonly factors?: Float32Array;
  /** The parameters as stored in the file. */
  readonly raw: Readonly<Record<string, unknown>>;
}

const NUMBERS = [
  ['factor', 'factor'],
  ['original_max_position_embeddings', 'originalMaxPositionEmbeddings'],
  ['low_freq_factor', 'lowFreqFactor'],
  ['high_freq_factor', 'highFreqFactor'],
  ['attention_factor', 'attentionFactor'],
  ['beta_fast', 'betaFast'],
  ['beta_slow', 'betaSlow'],
  ['mscale', 'mscale'],
  ['mscale_all_dim', 'mscaleAllDim'],
] as const;

/** The rotary parameters of a config, and of each kind of layer if they differ (Gemma 3). */
export interface RopeConfigs {
  readonly rope: RopeConfig;
  readonly byLayerType: ReadonlyMap<string, RopeConfig>;
}

/**
 * Reads both spellings: `rope_parameters` (transformers 5), or `rope_theta` + `rope_scaling` (and GPT-NeoX's
 * `rotary_emb_base`, `rotary_pct`).
 *
 * @throws QdyloraError BAD_CONFIG for a parameter that is not a number.
 */
export function readRopeConfigs(config: ConfigReader): RopeConfigs {
  const parameters = recordAt(config, 'rope_parameters');
  const scaling = recordAt(config, 'rope_scaling');
  // Gemma 3: layers with a window have a different base and no scaling
  const local = config.number('rope_local_base_freq', 0);
  const keys = outerRopeKeys(config.raw.model_type);
  const theta = config.number(keys.theta, familyDefaultsOf(config.raw.model_type).theta ?? DEFAULT_THETA);
  const partial = config.number(keys.partial, 1);
  const one = (key: string, values: Record<string, unknown>, base: number): RopeConfig =>
    withYarnFactor(config, ropeOf(config.nested(key, values), base, partial));
  const ofWindows: [string, RopeConfig][] =
    local > 0 ? [['sliding_attention', one('rope_local_base_freq', {}, local)]] : [];

  if (parameters && Object.values(parameters).some(isRecord)) {
    // transformers reads such entries for families with kinds of layers alone
    if (config.raw.model_type !== 'gemma3_text')
      throw config.wrong('one entry for all layers', 'rope_parameters');
    if (scaling) throw config.wrong('nothing beside rope_parameters', 'rope_scaling');
    const byLayerType = new Map(ofWindows);
    for (const [layerType, values] of Object.entries(parameters))
      if (isRecord(values))
        byLayerType.set(
          layerType,
          one(
            `rope_parameters.${layerType}`,
            values,
            layerType === 'sliding_attention' ? local || DEFAULT_THETA : theta,
          ),
        );
    return { rope: byLayerType.get('full_attention') ?? byLayerType.values().next().value!, byLayerType };
  }
  if (scaling && config.raw.model_type === 'gemma3_text')
    refuseOldTypeName(config.nested('rope_scaling', scaling));
  const rope = parameters
    ? one('rope_parameters', parameters, theta)
    : one('rope_scaling', scaling ?? {}, theta);
  if (parameters && scaling && !isSame(rope, one('rope_scaling', scaling, theta)))
    // transformers would use rope_scaling, with its base
    throw config.wrong('the same as in rope_parameters, or nothing,', 'rope_scaling');
  return { rope, byLayerType: new Map([['full_attention', rope], ...ofWindows]) };
}

/** transformers 4 reads `type` in the `rope_scaling` of a Gemma 3 model, transformers 5 does not. */
function refuseOldTypeName(scaling: ConfigReader): void {
  if (!scaling.has('rope_type') && scaling.string('type', 'default') !== 'default')
    throw scaling.wrong('named rope_type, because transformers 5 does not read it here,', 'type');
}

/**
 * With `factor: null`, YaRN's factor is max positions / original positions, as in transformers. Phi-3 has the
 * type yarn as another name of LongRoPE.
 */
function withYarnFactor(config: ConfigReader, rope: RopeConfig): RopeConfig {
  if (rope.type !== 'yarn' || rope.raw.factor !== null || config.raw.model_type === 'phi3') return rope;
  if (!config.has('max_position_embeddings')) return rope;
  const positions = config.integer('max_position_embeddings');
  const original = rope.originalMaxPositionEmbeddings ?? positions;
  const before =
    config.raw.model_type === 'gemma3_text'
      ? original // transformers reads no outer key for kinds of layers
      : config.integer('original_max_position_embeddings', original);
  return { ...rope, factor: positions / before };
}

/** Parameters that are only in `raw`. */
const RAW_KEYS = ['short_factor', 'long_factor', 'truncate'];

const isSame = (a: RopeConfig, b: RopeConfig): boolean => {
  const textOf = ({ raw, ...read }: RopeConfig): string =>
    canonicalJson([read, RAW_KEYS.map((key) => raw[key] ?? null)]);
  return textOf(a) === textOf(b);
};

/** Where a config has the base and the share of rotated numbers outside of its rope parameters. */
export const outerRopeKeys = (modelType: unknown): { readonly theta: string; readonly partial: string } =>
  modelType === 'gpt_neox'
    ? { theta: 'rotary_emb_base', partial: 'rotary_pct' }
    : { theta: 'rope_theta', partial: 'partial_rotary_factor' };

function recordAt(config: ConfigReader, key: string): Record<string, unknown> | undefined {
  const value = config.raw[key];
  if (config.has(key) && !isRecord(value)) throw config.wrong('an object', key);
  return isRecord(value) && Object.keys(value).length > 0 ? value : undefined; // {} counts as missing
}

function ropeOf(values: ConfigReader, theta: number, partial: number): RopeConfig {
  const numbers: Partial<Record<(typeof NUMBERS)[number][1], number>> = {};
  for (const [key, name] of NUMBERS) if (values.has(key)) numbers[name] = values.number(key);
  return {
    type: values.string('rope_type', values.string('type', 'default')),
    theta: values.number('rope_theta', theta),
    partialRotaryFactor: values.number('partial_rotary_factor', partial),
    ...numbers,
    raw: values.raw,
  };
}
