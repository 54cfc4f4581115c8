export {
  createDecodeEngine,
  type DecodeEngine,
  type DecodeEngineOptions,
  type EngineUsage,
} from './batching/decode-engine.ts';
export type {
  ChosenToken,
  DecodeEvent,
  DecodeOptions,
  DecodeView,
  TokenChance,
} from './batching/decode-request.ts';
export { kvTokenBytes } from './batching/kv-pool.ts';
export type { TokenScores } from './batching/sequence-pass.ts';
export { buildModel, type BuildOptions } from './builders/build-model.ts';
export { initializeModel, type InitializeOptions } from './builders/initialize-model.ts';
export { shapeModel, type ShapeModelOptions } from './builders/shape-model.ts';
export { locateWeights, type LocatedWeight } from './checkpoint-files/locate-weights.ts';
export { withOwnHead } from './checkpoint-files/with-own-head.ts';
export {
  configWithSavedWeights,
  withSavedWeights,
  type SavedWeights,
  type WeightFiles,
} from './checkpoint-files/with-saved-weights.ts';
export type { RopeFrequencies } from './config/rope-frequencies.ts';
export {
  batchArrays,
  i32Array,
  oneSequence,
  type BatchArrays,
  type LossArrays,
  type LossInputs,
  type TokenInputs,
} from './decoder/batch-arrays.ts';
export { buildDecoder, type DecoderModules } from './decoder/build-decoder.ts';
export type { CausalLm } from './decoder/causal-lm.ts';
export { createCausalLm, type ModelPlace } from './decoder/create-causal-lm.ts';
export type { Decoder } from './decoder/decoder-hidden.ts';
export { describeModel, type ModelDescription, type WeightShape } from './decoder/describe-model.ts';
export type { KvCache, LayerCache } from './decoder/kv-cache.ts';
export type { Family } from './families/family.ts';
export type { AttentionConfig, FamilyConfig } from './families/family-config.ts';
export { FAMILIES, familyOf } from './families/family-of.ts';
export type { SamplingOptions } from './generate/choose-token.ts';
export { generate, type GenerateOptions } from './generate/generate.ts';
export { matrixQuantizer, type MatrixQuantizer } from './quantize/matrix-quantizer.ts';
export type { MatrixQuantization, Quantization } from './quantize/quantization.ts';
export { quantizeOn } from './quantize/quantize-on.ts';
export { withWeightName } from './quantize/with-weight-name.ts';
export type { LoadWorkers } from './quantize/share-quantization.ts';
export type { Values } from './weights/read-values.ts';
export { shapeWeights, type ShapeWeightsOptions } from './weights/shape-weights.ts';
export type { WeightSource } from './weights/weight-source.ts';
