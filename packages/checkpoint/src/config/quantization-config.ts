import type { ConfigReader } from './config-reader.ts';
import { isRecord } from '../json/is-record.ts';

/**
 * The `quantization_config` of a checkpoint. Which layers are packed is decided by the tensors: a layer is
 * 4-bit if its `quant_state` tensor exists.
 */
export interface QuantizationConfig {
  /** `bitsandbytes`, or another method of the file (`gptq`, `awq`, …). */
  readonly method: string;
  readonly loadIn4bit: boolean;
  readonly loadIn8bit: boolean;
  readonly quantType: string;
  readonly doubleQuantization: boolean;
  readonly computeDtype: string;
  readonly storageDtype: string;
  readonly skipModules: readonly string[];
  readonly raw: Readonly<Record<string, unknown>>;
}

/** Reads `quantization_config`; null if the checkpoint is not quantized. @throws QdyloraError BAD_CONFIG. */
export function readQuantization(config: ConfigReader): QuantizationConfig | null {
  const { raw } = config;
  if (!config.has('quantization_config')) return null;
  const values = raw.quantization_config;
  if (!isRecord(values)) throw config.wrong('an object', 'quantization_config');
  const q = config.nested('quantization_config', values);
  const loadIn4bit = q.boolean('load_in_4bit', q.boolean('_load_in_4bit', false));
  const loadIn8bit = q.boolean('load_in_8bit', q.boolean('_load_in_8bit', false));
  return {
    method: q.string('quant_method', loadIn4bit || loadIn8bit ? 'bitsandbytes' : 'unknown'),
    loadIn4bit,
    loadIn8bit,
    quantType: q.string('bnb_4bit_quant_type', 'fp4'),
    doubleQuantization: q.boolean('bnb_4bit_use_double_quant', false),
    computeDtype: q.string('bnb_4bit_compute_dtype', 'float32'),
    storageDtype: q.string('bnb_4bit_quant_storage', 'uint8'),
    skipModules: q.strings('llm_int8_skip_modules', []),
    raw: values,
  };
}
