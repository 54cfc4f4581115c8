import { hfConfigOf, type CheckpointConfig, type QuantizationConfig } from '@qdylora/checkpoint';
import {
  createRng,
  either,
  oneOf,
  QdyloraError,
  required,
  someFunction,
  someText,
  trueOrFalse,
  wholeNumber,
  type Backend,
  type OptionRules,
} from '@qdylora/contract';
import {
  assertWeightFiles,
  checkBuildOptions,
  someBackend,
  someQuantization,
} from './check-build-options.ts';
import { createCausalLm, type CausalLm } from './causal-lm.ts';
import { buildDecoder } from './decoder.ts';
import { familyOf } from './families/index.ts';
import { describeModel } from './describe-model.ts';
import { assertNoOtherWeights } from './weights/assert-no-other-weights.ts';
import { checkpointWeights } from './weights/checkpoint-weights.ts';
import { pieceFor } from './weights/read-values.ts';
import type { Quantization } from './weights/quantization.ts';
import { randomWeights } from './weights/random-weights.ts';
import { withOwnHead } from './weights/with-own-head.ts';
import type { WeightFiles } from './weights/with-saved-weights.ts';
import { SHAPE_RULES, shapeWeights, type ShapeWeightsOptions } from './weights/shape-weights.ts';

export interface BuildOptions {
  readonly backend: Backend;
  /**
   * `{ kind: 'nf4', doubleQuantization: true }` by default; a checkpoint that is 4-bit already is used as it
   * is, and what it left in more bits stays so.
   */
  readonly quantization?: Quantization;
  /** Everything in float32, for full training; with it `quantization` must be none. */
  readonly trainable?: boolean;
  readonly onProgress?: (bytesRead: number) => void;
}

const BUILD_RULES: OptionRules<BuildOptions> = {
  backend: required(someBackend),
  quantization: someQuantization,
  trainable: trueOrFalse,
  onProgress: someFunction,
};

/**
 * Builds the model of a checkpoint in a backend's memory, one matrix after the other.
 *
 * @throws UnsupportedArchitectureError before any weight is read; QdyloraError MISSING_TENSOR, BAD_SHAPE,
 * BAD_CONFIG, UNSUPPORTED; BAD_ARGUMENT for what is no open checkpoint, and for options that are unknown or
 * of another kind
 */
export async function buildModel(files: WeightFiles, options: BuildOptions): Promise<CausalLm> {
  assertWeightFiles('build-model', files);
  checkBuildOptions('build-model', options, BUILD_RULES);
  const { backend, quantization = { kind: 'nf4' }, trainable = false, onProgress } = options;
  const checkpoint = withOwnHead(files);
  const { config } = checkpoint;
  const family = familyOf(config.modelType, checkpoint.name);
  const resolved = family.readConfig(config);
  const stored = storedQuantization(config, checkpoint.name);
  assertNoOtherWeights(
    checkpoint,
    describeModel(config.raw, checkpoint.name).weights.map(({ name }) => name),
    family.names.base,
  );
  if (trainable && (stored || quantization.kind !== 'none')) {
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'build-model',
      problem: 'expected quantization none for a model that is trained in full, got 4 bits',
      nextStep: 'Set quantization: none, or choose method: qdylora.',
    });
  }
  const decoder = backend.memory.scoped(() => {
    const piece = pieceFor(backend, checkpoint.tensors.values());
    const weights = checkpointWeights(checkpoint, {
      backend,
      quantization: stored ? { kind: 'none' } : quantization,
      trainable,
      piece,
      onProgress,
      base: family.names.base,
      storesInOut: family.storesInOut ?? false,
    });
    return buildDecoder(family, resolved, weights);
  });
  return createCausalLm(family, resolved, decoder, backend, checkpoint.name);
}

/**
 * How a checkpoint is packed already; null for a plain one. @throws QdyloraError UNSUPPORTED for what is
 * neither
 */
function storedQuantization(
  { quantization: stored }: CheckpointConfig,
  name: string,
): QuantizationConfig | null {
  if (!stored || (stored.method === 'bitsandbytes' && stored.loadIn4bit)) return stored;
  const got =
    stored.method === 'bitsandbytes'
      ? `bitsandbytes ${stored.loadIn8bit ? 'in 8 bits (load_in_8bit)' : 'without load_in_4bit'}`
      : stored.method;
  throw new QdyloraError('UNSUPPORTED', {
    where: name,
    problem: `expected bitsandbytes 4-bit or no quantization for quant_method, got ${got}`,
    nextStep: 'Start from the unquantized checkpoint.',
  });
}

export interface InitializeOptions {
  readonly backend: Backend;
  /** Decides the weights. 0 */
  readonly seed?: number;
  readonly name?: string;
}

const INITIALIZE_RULES: OptionRules<InitializeOptions> = {
  backend: required(someBackend),
  seed: wholeNumber(),
  name: someText,
};

/**
 * A model of random weights from the content of a `config.json`, all float32, for training from nothing.
 * @throws QdyloraError BAD_CONFIG, UNSUPPORTED; BAD_ARGUMENT for options that are unknown or of another kind
 */
export function initializeModel(
  config: Readonly<Record<string, unknown>>,
  options: InitializeOptions,
): CausalLm {
  checkBuildOptions('initialize-model', options, INITIALIZE_RULES);
  const { backend, seed = 0, name = 'random' } = options;
  const parsed = hfConfigOf(name, config);
  const family = familyOf(parsed.modelType, name);
  const resolved = family.readConfig(parsed);
  return createCausalLm(
    family,
    resolved,
    buildDecoder(
      family,
      resolved,
      randomWeights(backend, createRng(seed).named('weights'), resolved.initializerRange),
    ),
    backend,
    name,
  );
}

export interface ShapeModelOptions extends ShapeWeightsOptions {
  readonly backend: Backend;
  readonly name?: string;
  /** Only the first so many layers: enough to see what one more would need. */
  readonly mostLayers?: number;
}

const SHAPE_MODEL_RULES: OptionRules<ShapeModelOptions> = {
  ...SHAPE_RULES,
  backend: required(someBackend),
  name: someText,
  mostLayers: either(wholeNumber(), oneOf([Infinity])),
};

/**
 * The model of a `config.json` as shapes alone, of any size, in the books of a dry backend: everything that a
 * model does runs on it, and computes nothing.
 * One that is 4-bit already is counted as it is stored, without what it says to skip and what `dtypes` names.
 *
 * @throws UnsupportedArchitectureError; QdyloraError BAD_CONFIG, UNSUPPORTED
 */
export function shapeModel(config: Readonly<Record<string, unknown>>, given: ShapeModelOptions): CausalLm {
  checkBuildOptions('shape-model', given, SHAPE_MODEL_RULES);
  const { name = 'config.json', quantization, mostLayers = Infinity, ...options } = given;
  const parsed = hfConfigOf(name, config);
  const family = familyOf(parsed.modelType, name);
  const whole = family.readConfig(parsed);
  const stored = storedQuantization(parsed, name);
  const attention = whole.attention.slice(0, mostLayers);
  const resolved = { ...whole, attention, layers: attention.length };
  const own = stored
    ? {
        quantization: { kind: stored.quantType as 'nf4', doubleQuantization: stored.doubleQuantization },
        isPlain: eitherHolds(
          isSkipped(stored.skipModules),
          (layer) => options.dtypes?.has(`${layer}.weight`) ?? false,
        ),
      }
    : { quantization };
  return createCausalLm(
    family,
    resolved,
    buildDecoder(family, resolved, shapeWeights({ ...options, ...own })),
    options.backend,
    name,
  );
}

const eitherHolds =
  (one: (name: string) => boolean, other: (name: string) => boolean) =>
  (name: string): boolean =>
    one(name) || other(name);

/**
 * Whether transformers leaves a layer in more bits: one that a skipped name is the beginning or the end of.
 */
const isSkipped =
  (skipModules: readonly string[]) =>
  (name: string): boolean =>
    skipModules.some(
      (skipped) => name === skipped || name.startsWith(`${skipped}.`) || name.endsWith(skipped),
    );
