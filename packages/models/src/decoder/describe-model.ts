import { hfConfigOf } from '@qdylora/checkpoint';
import { elementCount } from '@qdylora/contract';
import { Linear, modulesOf, parametersOf } from '@qdylora/tensor';
import { buildDecoder } from './build-decoder.ts';
import type { FamilyConfig } from '../families/family-config.ts';
import { familyOf } from '../families/family-of.ts';
import { shapeWeights } from '../weights/shape-weights.ts';

/** Name and shape of one weight. */
export interface WeightShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** The weights of a model, without memory for them. */
export interface ModelDescription {
  readonly modelType: string;
  readonly config: FamilyConfig;
  /** Every weight once, in the shape in which a checkpoint stores it. A tied head is not listed. */
  readonly weights: readonly WeightShape[];
  /** The matrices that quantization packs and that adapters wrap: [out, in], whatever a checkpoint stores. */
  readonly linears: readonly (WeightShape & { readonly shape: readonly [number, number] })[];
  readonly parameterCount: number;
}

/**
 * Lists the weights of a model from the content of its `config.json`.
 *
 * @param name the model's name in error messages
 * @throws UnsupportedArchitectureError; QdyloraError BAD_CONFIG, UNSUPPORTED
 * @example
 * const config = JSON.parse(readFileSync('models/falcon-40b/config.json', 'utf8'));
 * describeModel(config).parameterCount; // 41303293952
 */
export function describeModel(
  config: Readonly<Record<string, unknown>>,
  name = 'config.json',
): ModelDescription {
  const parsed = hfConfigOf(name, config);
  const family = familyOf(parsed.modelType, name);
  const familyConfig = family.readConfig(parsed);
  const modules = buildDecoder(family, familyConfig, shapeWeights());
  const linears = modulesOf(modules).filter((layer): layer is Linear => layer instanceof Linear);
  const matrices = new Set(linears.map((layer) => layer.weight));
  const weights = parametersOf(modules).map((parameter): WeightShape => {
    const { shape } = parameter.view;
    const isTransposed = family.storesInOut && matrices.has(parameter);
    return { name: parameter.name, shape: isTransposed ? shape.toReversed() : shape };
  });
  return {
    modelType: family.modelType,
    config: familyConfig,
    weights,
    parameterCount: weights.reduce((sum, { shape }) => sum + elementCount(shape), 0),
    linears: linears.map((layer) => ({
      name: layer.name,
      shape: [layer.outFeatures, layer.inFeatures] as const,
    })),
  };
}
