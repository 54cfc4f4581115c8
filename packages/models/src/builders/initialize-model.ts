import { hfConfigOf } from '@qdylora/checkpoint';
import {
  createRng,
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
import { randomWeights } from '../weights/random-weights.ts';
import { checkBuildOptions, someBackend } from '../quantize/check-build-options.ts';

/** Options of `initializeModel`: the memory of the weights, and the seed that they are drawn with. */
export interface InitializeOptions {
  readonly backend: Backend;
  /** Seed of the random weights; 0 by default. */
  readonly seed?: number;
  /** `CausalLm.name`; `random` by default. */
  readonly name?: string;
}

const RULES: OptionRules<InitializeOptions> = {
  backend: required(someBackend),
  seed: wholeNumber(),
  name: someText,
};

/**
 * Builds a model with random float32 weights from the content of a `config.json`, for training from scratch.
 *
 * @throws UnsupportedArchitectureError; QdyloraError BAD_CONFIG, UNSUPPORTED; BAD_ARGUMENT for unknown or
 * wrong options
 * @example
 * const model = initializeModel(JSON.parse(readFileSync('config.json', 'utf8')), { backend, seed: 7 });
 */
export function initializeModel(
  config: Readonly<Record<string, unknown>>,
  options: InitializeOptions,
): CausalLm {
  checkBuildOptions('initialize-model', options, RULES);
  const { backend, seed = 0, name = 'random' } = options;
  const parsed = hfConfigOf(name, config);
  const family = familyOf(parsed.modelType, name);
  const familyConfig = family.readConfig(parsed);
  const rng = createRng(seed).named('weights');
  const weights = randomWeights(backend, rng, familyConfig.initializerRange);
  const modules = buildDecoder(family, familyConfig, weights);
  return createCausalLm({ family, config: familyConfig, modules }, { backend, name });
}
