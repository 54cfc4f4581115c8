import {
  objectWith,
  orNull,
  QdyloraError,
  required,
  someFunction,
  trueOrFalse,
  type Backend,
  type OptionRules,
} from '@qdylora/contract';
import { assertNoOtherWeights } from '../checkpoint-files/assert-no-other-weights.ts';
import { withOwnHead } from '../checkpoint-files/with-own-head.ts';
import type { WeightFiles } from '../checkpoint-files/with-saved-weights.ts';
import { buildDecoder } from '../decoder/build-decoder.ts';
import type { CausalLm } from '../decoder/causal-lm.ts';
import { createCausalLm } from '../decoder/create-causal-lm.ts';
import { familyOf } from '../families/family-of.ts';
import type { Quantization } from '../quantize/quantization.ts';
import type { LoadWorkers } from '../quantize/share-quantization.ts';
import { checkpointWeights } from '../weights/checkpoint-weights.ts';
import { loadWeights } from '../weights/load-weights.ts';
import { pieceFor } from '../weights/read-values.ts';
import {
  assertWeightFiles,
  checkBuildOptions,
  someBackend,
  someQuantization,
} from '../quantize/check-build-options.ts';
import { describeModel } from '../decoder/describe-model.ts';
import { storedQuantization } from './stored-quantization.ts';

/** Options of `buildModel`: the memory of the weights, and how they are stored there. */
export interface BuildOptions {
  readonly backend: Backend;
  /**
   * `{ kind: 'nf4', doubleQuantization: true }` by default. A checkpoint that is in 4 bits already is used as
   * it is; layers that it keeps in higher precision stay so.
   */
  readonly quantization?: Quantization;
  /**
   * Keep all weights in float32, for full training. Requires `quantization: { kind: 'none' }`. Default:
   * false.
   */
  readonly trainable?: boolean;
  /**
   * The workers that share the quantizing: each quantizes a part of the matrices and sends it to the others.
   * All of them build the same model, and get the bits of one process. null by default.
   */
  readonly workers?: LoadWorkers | null;
  /** Called after each tensor that this process reads. */
  readonly onProgress?: (bytesRead: number) => void;
}

const BUILD_RULES: OptionRules<BuildOptions> = {
  backend: required(someBackend),
  quantization: someQuantization,
  trainable: trueOrFalse,
  workers: orNull(objectWith('broadcast')),
  onProgress: someFunction,
};

/**
 * Builds the model of a checkpoint in a backend's memory.
 *
 * Weights are read and quantized one matrix at a time: peak memory is the packed model plus one matrix.
 *
 * @throws UnsupportedArchitectureError before any weight is read; QdyloraError MISSING_TENSOR, BAD_SHAPE,
 * BAD_CONFIG, UNSUPPORTED; BAD_ARGUMENT for a value that is not an open checkpoint, and for unknown or wrong
 * options
 * @example
 * using checkpoint = await openCheckpoint('models/smollm2');
 * const model = await buildModel(checkpoint, { backend, quantization: { kind: 'nf4' } });
 */
export async function buildModel(files: WeightFiles, options: BuildOptions): Promise<CausalLm> {
  assertWeightFiles('build-model', files);
  checkBuildOptions('build-model', options, BUILD_RULES);
  const { backend, quantization = { kind: 'nf4' }, trainable = false, workers = null, onProgress } = options;
  const checkpoint = withOwnHead(files);
  const { config, name } = checkpoint;
  const family = familyOf(config.modelType, name);
  const familyConfig = family.readConfig(config);
  const stored = storedQuantization(config, name);
  const weightNames = describeModel(config.raw, name).weights.map((weight) => weight.name);
  assertNoOtherWeights(checkpoint, weightNames, family.names.base);
  if (trainable && (stored || quantization.kind !== 'none')) {
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'build-model',
      problem: 'A model in 4 bits cannot be trained in full',
      nextStep: stored
        ? 'Start from the checkpoint that it was quantized from, or choose method: qdylora.'
        : 'Set quantization: none, or choose method: qdylora.',
    });
  }
  const piece = pieceFor(backend, checkpoint.tensors.values());
  try {
    const source = checkpointWeights(checkpoint, {
      backend,
      quantization: stored ? { ...quantization, kind: 'none' } : quantization,
      trainable,
      piece,
      workers,
      onProgress,
      base: family.names.base,
      storesInOut: family.storesInOut ?? false,
    });
    const modules = await loadWeights(source, (weights) => buildDecoder(family, familyConfig, weights));
    return createCausalLm({ family, config: familyConfig, modules }, { backend, name });
  } finally {
    if (piece) backend.memory.release(piece);
  }
}
