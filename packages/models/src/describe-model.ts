import { hfConfigOf } from '@qdylora/checkpoint';
import { elementCount } from '@qdylora/contract';
import { Linear, modulesOf, parametersOf } from '@qdylora/tensor';
import { buildDecoder } from './decoder.ts';
import type { FamilyConfig } from './families/family.ts';
import { familyOf } from './families/index.ts';
import { shapeWeights } from './weights/shape-weights.ts';

/** One weight as a checkpoint stores it. */
export interface WeightShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A model of any size, known by its shapes alone. */
export interface ModelDescription {
  readonly modelType: string;
  readonly config: FamilyConfig;
  /** Every weight once, in the shape in which a checkpoint stores it; a tied head is the embedding. */
  readonly weights: readonly WeightShape[];
  /** The matrices that quantization packs and adapters go around: [out, in], whatever a checkpoint stores. */
  readonly linears: readonly (WeightShape & { readonly shape: readonly [number, number] })[];
  readonly parameterCount: number;
}

/**
 * The weights of a model from the content of its `config.json`, without memory for any of them.
 *
 * @throws UnsupportedArchitectureError; QdyloraError BAD_CONFIG, UNSUPPORTED
 * @example
 * describeModel({ model_type: 'falcon', hidden_size: 8192, num_hidden_layers: 60, num_attention_heads: 128, num_kv_heads: 8, new_decoder_architecture: true }).parameterCount; // 41303293952
 */
export function describeModel(
  config: Readonly<Record<string, unknown>>,
  name = 'config.json',
): ModelDescription {
  const parsed = hfConfigOf(name, config);
  const family = familyOf(parsed.modelType, name);
  const resolved = family.readConfig(parsed);
  const modules = buildDecoder(family, resolved, shapeWeights());
  const layers = modulesOf(modules).filter((layer): layer is Linear => layer instanceof Linear);
  const ofLinears = new Set(layers.map((layer) => layer.weight));
  const weights = parametersOf(modules).map((parameter): WeightShape => {
    const {
      view: { shape },
    } = parameter;
    return {
      name: parameter.name,
      shape: family.storesInOut && ofLinears.has(parameter) ? shape.toReversed() : shape,
    };
  });
  return {
    modelType: family.modelType,
    config: resolved,
    weights,
    parameterCount: weights.reduce((sum, { shape }) => sum + elementCount(shape), 0),
    linears: layers.map((layer) => ({
      name: layer.name,
      shape: [layer.outFeatures, layer.inFeatures] as const,
    })),
  };
}
