import { configReader, type ConfigReader } from '../config/config-reader.ts';
import { readJsonObject } from '../json/read-json-file.ts';
import { isRecord } from '../json/is-record.ts';
import { unsupportedAdapter } from './bad-adapter.ts';

/** The `adapter_config.json` of a LoRA adapter. */
export interface PeftAdapterConfig {
  readonly r: number;
  readonly loraAlpha: number;
  /** True: scale alpha / √r instead of alpha / r. */
  readonly useRslora: boolean;
  /**
   * Suffixes of module names, or one regular expression, or `all-linear`; null for PEFT's default of the
   * architecture.
   */
  readonly targetModules: readonly string[] | string | null;
  /** Ranks by pattern, in file order. */
  readonly rankPattern: ReadonlyMap<string, number>;
  readonly alphaPattern: ReadonlyMap<string, number>;
  readonly baseModel: string | null;
  readonly loraDropout: number;
  readonly fanInFanOut: boolean;
  readonly taskType: string | null;
  readonly peftVersion: string | null;
  /**
   * Suffixes of modules whose weights the adapter stores whole, in place of the base's (a head, an
   * embedding).
   */
  readonly modulesToSave: readonly string[];
  /** True: a head that the base ties to its embedding is tied to the adapter's embedding too. */
  readonly ensureWeightTying: boolean;
  /** Keys that PEFT 0.21 does not know. PEFT drops them too. */
  readonly unknownKeys: readonly string[];
  readonly raw: Readonly<Record<string, unknown>>;
}

/**
 * Unsupported fields that change what an adapter computes. Null, false, and an empty list or record turn them
 * off.
 */
const VARIANTS = [
  'use_dora',
  'lora_bias',
  'layer_replication',
  'target_parameters',
  'trainable_token_indices',
  'alora_invocation_tokens',
  'velora_config',
  'kasa_config',
  'monteclora_config',
  'arrow_config',
  'use_bdlora',
  'use_qalora',
] as const;

const OTHER_KEYS = [
  'peft_type',
  'r',
  'lora_alpha',
  'target_modules',
  'modules_to_save',
  'use_rslora',
  'rank_pattern',
  'alpha_pattern',
  'bias',
  'fan_in_fan_out',
  'layers_to_transform',
  'layers_pattern',
  'exclude_modules',
  'qalora_group_size',
  'base_model_name_or_path',
  'revision',
  'task_type',
  'auto_mapping',
  'lora_dropout',
  'init_lora_weights',
  'loftq_config',
  'eva_config',
  'corda_config',
  'lora_ga_config',
  'megatron_config',
  'megatron_core',
  'ensure_weight_tying',
  'inference_mode',
  'peft_version',
  'runtime_config',
] as const;

/** Initializations that change the base weights; reading such an adapter would have to repeat the change. */
const BASE_CHANGING_INITS = /^(pissa|olora|corda|lora_ga|loftq)/;

/**
 * Reads and checks `adapter_config.json`. @throws QdyloraError UNSUPPORTED naming the feature; BAD_CONFIG,
 * BAD_FILE, MISSING_FILE.
 */
export function readAdapterConfig(path: string): PeftAdapterConfig {
  const raw = readJsonObject(path, 'peft-adapter');
  const config = configReader(path, raw);
  refuseVariants(path, config);
  const r = config.integer('r', 8);
  if (r < 1) throw config.wrong('a whole number ≥ 1', 'r');
  const knownKeys = new Set<string>([...VARIANTS, ...OTHER_KEYS]);
  const text = (key: string): string | null => (config.has(key) ? config.string(key) : null);
  return {
    r,
    loraAlpha: config.number('lora_alpha', 8),
    useRslora: config.boolean('use_rslora', false),
    targetModules: readTargets(config),
    rankPattern: readPattern(config, 'rank_pattern'),
    alphaPattern: readPattern(config, 'alpha_pattern'),
    baseModel: text('base_model_name_or_path'),
    loraDropout: readDropout(config),
    fanInFanOut: config.boolean('fan_in_fan_out', false),
    modulesToSave: config.has('modules_to_save') ? config.strings('modules_to_save') : [],
    ensureWeightTying: config.boolean('ensure_weight_tying', false),
    taskType: text('task_type'),
    peftVersion: text('peft_version'),
    unknownKeys: Object.keys(raw).filter((key) => !knownKeys.has(key)),
    raw,
  };
}

function refuseVariants(path: string, config: ConfigReader): void {
  const { raw } = config;
  const type = config.string('peft_type');
  if (type !== 'LORA') throw unsupportedAdapter(path, `peft_type ${JSON.stringify(type.slice(0, 80))}`);
  for (const key of VARIANTS) if (!isOff(raw[key])) throw unsupportedAdapter(path, key);
  const bias = config.string('bias', 'none');
  if (bias !== 'none') throw unsupportedAdapter(path, `bias ${JSON.stringify(bias.slice(0, 80))}`);
  const init = raw.init_lora_weights;
  if (typeof init === 'string' && BASE_CHANGING_INITS.test(init.toLowerCase()))
    throw unsupportedAdapter(
      path,
      `init_lora_weights ${JSON.stringify(init.slice(0, 80))}, which changes the base weights`,
      'Convert it with PEFT (save_pretrained with path_initial_model_for_weight_conversion).',
    );
}

const isOff = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === false ||
  (Array.isArray(value) && value.length === 0) ||
  (isRecord(value) && Object.keys(value).length === 0);

function readDropout(config: ConfigReader): number {
  const dropout = config.number('lora_dropout', 0);
  if (dropout >= 0 && dropout <= 1) return dropout;
  throw config.wrong('a number from 0 to 1', 'lora_dropout');
}

function readTargets(config: ConfigReader): readonly string[] | string | null {
  if (!config.has('target_modules')) return null;
  return typeof config.raw.target_modules === 'string'
    ? config.raw.target_modules
    : config.strings('target_modules');
}

function readPattern(config: ConfigReader, field: string): ReadonlyMap<string, number> {
  if (!config.has(field)) return new Map<string, number>();
  const values = config.raw[field];
  if (!isRecord(values)) throw config.wrong('an object', field);
  const reader = config.nested(field, values);
  return new Map(Object.keys(values).map((key) => [key, reader.number(key)]));
}
