import { assertArgument, shownValue } from '@qdylora/contract';
import { configReader, type ConfigReader } from './config-reader.ts';
import { readJsonObject } from '../json/read-json-file.ts';
import { readQuantization, type QuantizationConfig } from './quantization-config.ts';
import { readRopeConfigs, type RopeConfig } from './rope-config.ts';

/**
 * A `config.json` whose values are checked when they are read. Nothing in it is executed (`auto_map` is only
 * text). Unknown keys stay in `raw`. The older spelling of transformers 4 is read as the newer one.
 */
export interface CheckpointConfig extends ConfigReader {
  readonly path: string;
  /** `model_type`: `llama`, `qwen2`, … */
  readonly modelType: string;
  /** dtype of the weights as the config names it (`bfloat16`), without `torch.`; null if it is missing. */
  readonly dtype: string | null;
  /** Rotary parameters; those of full-attention layers if kinds of layers differ. */
  readonly rope: RopeConfig;
  /**
   * Rotary parameters of one kind of layer (`full_attention`, `sliding_attention`); undefined if the config
   * has none for it.
   */
  ropeOf(layerType: string): RopeConfig | undefined;
  /** Null for an unquantized checkpoint. */
  readonly quantization: QuantizationConfig | null;
}

/** Reads `config.json`. @throws QdyloraError MISSING_FILE, BAD_FILE, BAD_CONFIG. */
export const readHfConfig = (path: string): CheckpointConfig =>
  hfConfigOf(path, readJsonObject(path, 'config'));

/**
 * Alternative names of config keys in transformers (`attribute_map`; Falcon's `__post_init__`), by
 * `model_type`. If both are present, the alternative name wins, as in transformers.
 */
const OTHER_NAMES: ReadonlyMap<unknown, Readonly<Record<string, string>>> = new Map<
  unknown,
  Readonly<Record<string, string>>
>([
  [
    'gpt2',
    {
      hidden_size: 'n_embd',
      max_position_embeddings: 'n_positions',
      num_attention_heads: 'n_head',
      num_hidden_layers: 'n_layer',
    },
  ],
  ['falcon', { n_embed: 'hidden_size' }],
]);

function withOwnNames(raw: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const renamed = Object.entries(OTHER_NAMES.get(raw.model_type) ?? {}).filter(
    ([other]) => Object.hasOwn(raw, other) && raw[other] !== null,
  );
  return renamed.length === 0
    ? raw
    : { ...raw, ...Object.fromEntries(renamed.map(([other, name]) => [name, raw[other]])) };
}

/**
 * Reads a config from a record. `ropeFactors` are the per-frequency divisors that a GGUF file stores; layers
 * with a window do not have them.
 */
export function hfConfigOf(
  path: string,
  raw: Readonly<Record<string, unknown>>,
  ropeFactors?: Float32Array,
): CheckpointConfig {
  assertArgument(
    typeof raw === 'object' && raw !== null && !Array.isArray(raw),
    'config',
    `The content of a config.json must be an object (got ${shownValue(raw)})`,
    typeof raw === 'string' ? 'Parse it first: JSON.parse(text).' : undefined,
  );
  assertArgument(
    !('raw' in raw && 'modelType' in raw),
    'config',
    'This is an opened config, not the content of a config.json',
    'Give its raw: checkpoint.config.raw.',
  );
  const reader = configReader(path, withOwnNames(raw));
  const { rope, byLayerType } = readRopeConfigs(reader);
  const storedRope: RopeConfig = ropeFactors ? { ...rope, type: 'factors', factors: ropeFactors } : rope;
  const dtype = reader.string('dtype', reader.string('torch_dtype', ''));
  return {
    ...reader,
    path,
    modelType: reader.string('model_type'),
    dtype: dtype.replace(/^torch\./, '') || null,
    rope: storedRope,
    ropeOf: (layerType) =>
      ropeFactors && layerType === 'full_attention' ? storedRope : byLayerType.get(layerType),
    quantization: readQuantization(reader),
  };
}
