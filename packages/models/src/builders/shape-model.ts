import { hfConfigOf, type QuantizationConfig } from '@qdylora/checkpoint';
import {
  either,
  oneOf,
  required,
  someText,
  wholeNumber,
  type Backend,
  type OptionRules,
} from '@qdylora/contract';
import { buildDecoder } from '../decoder/build-decoder.ts';
import type { CausalLm } from '../decoder/causal-lm.ts';
import { createCausalLm } from '../decoder/create-causal-lm.ts';
import { familyOf } from '../families/family-of.ts';
import { SHAPE_RULES, shapeWeights, type ShapeWeightsOptions } from '../weights/shape-weights.ts';
import { checkBuildOptions, someBackend } from '../quantize/check-build-options.ts';
import { storedQuantization } from './stored-quantization.ts';

/** Options of `shapeModel`: the dry backend, the number of layers, and how weights would be stored. */
export interface ShapeModelOptions extends ShapeWeightsOptions {
  readonly backend: Backend;
  /** `CausalLm.name`; `config.json` by default. */
  readonly name?: string;
  /** Build only the first layers, to learn what one more layer needs. Default: all. */
  readonly mostLayers?: number;
}

const RULES: OptionRules<ShapeModelOptions> = {
  ...SHAPE_RULES,
  backend: required(someBackend),
  name: someText,
  mostLayers: either(wholeNumber(), oneOf([Infinity])),
};

/**
 * Builds a model of shapes without numbers, of any size, in the memory of a dry backend.
 *
 * Everything that a model does runs on it and computes nothing, so the dry backend records the memory that it
 * needs. A checkpoint in 4 bits is counted as it is stored: its `llm_int8_skip_modules` and the
 * layers in `dtypes` are not packed.
 *
 * @throws UnsupportedArchitectureError; QdyloraError BAD_CONFIG, UNSUPPORTED; BAD_ARGUMENT for unknown or
 * wrong options
 * @example
 * const backend = createDryBackend();
 * shapeModel(config, { backend, quantization: { kind: 'nf4' } }).weightBytes;
 */
export function shapeModel(config: Readonly<Record<string, unknown>>, options: ShapeModelOptions): CausalLm {
  checkBuildOptions('shape-model', options, RULES);
  const { name = 'config.json', mostLayers = Infinity, ...weightOptions } = options;
  const parsed = hfConfigOf(name, config);
  const family = familyOf(parsed.modelType, name);
  const whole = family.readConfig(parsed);
  const stored = storedQuantization(parsed, name);
  const attention = whole.attention.slice(0, mostLayers);
  const familyConfig = { ...whole, attention, layers: attention.length };
  const weights = shapeWeights(stored ? asStored(weightOptions, stored) : weightOptions);
  const { backend } = options;
  const modules = buildDecoder(family, familyConfig, weights);
  return createCausalLm({ family, config: familyConfig, modules }, { backend, name });
}

/** Options for the weights of a checkpoint in 4 bits. */
function asStored(options: ShapeWeightsOptions, stored: QuantizationConfig): ShapeWeightsOptions {
  const { quantType, doubleQuantization, skipModules } = stored;
  return {
    ...options,
    quantization: {
      kind: quantType as 'nf4',
      doubleQuantization,
      levels: options.quantization?.levels,
    },
    isPlain: (layer) => isSkipped(layer, skipModules) || (options.dtypes?.has(`${layer}.weight`) ?? false),
  };
}

/** Whether transformers leaves a layer unquantized: a skipped name is the layer, its begin or its end. */
const isSkipped = (layer: string, skipModules: readonly string[]): boolean =>
  skipModules.some(
    (skipped) => layer === skipped || layer.startsWith(`${skipped}.`) || layer.endsWith(skipped),
  );
