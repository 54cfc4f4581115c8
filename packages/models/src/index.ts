export * from './batch-arrays.ts';
export * from './build-model.ts';
export * from './causal-lm.ts';
export { buildDecoder, type DecoderModules } from './decoder.ts';
export * from './describe-model.ts';
export type { AttentionConfig, Family, FamilyConfig } from './families/family.ts';
export { FAMILIES, familyOf } from './families/index.ts';
export type { SamplingOptions } from './generate/choose-token.ts';
export * from './generate/generate.ts';
export * from './generate/kv-cache.ts';
export * from './rope-frequencies.ts';
export { locateWeights, type LocatedWeight } from './weights/locate-weights.ts';
export { shapeWeights, type ShapeWeightsOptions } from './weights/shape-weights.ts';
export { matrixQuantizer, type MatrixQuantizer } from './weights/matrix-quantizer.ts';
export type { Quantization } from './weights/quantization.ts';
export { quantizeOn } from './weights/quantization.ts';
export type { Values } from './weights/read-values.ts';
export type { WeightSource } from './weights/weight-source.ts';
export { withOwnHead } from './weights/with-own-head.ts';
export {
  configWithSavedWeights,
  withSavedWeights,
  type SavedWeights,
  type WeightFiles,
} from './weights/with-saved-weights.ts';
