export { backward, type BackwardOptions } from './autograd/backward.ts';
export type { Run, BackwardCall, DifferentiableOp } from './autograd/differentiable-op.ts';
export { gradcheck, type GradcheckResult } from './autograd/gradcheck.ts';
export {
  canOffload,
  createInputOffload,
  type InputOffload,
  type KeptInput,
  type OffloadingBackend,
} from './autograd/input-offload.ts';
export { recompute } from './autograd/recompute.ts';
export { apply, Tape, type Recorder, type TapeNode } from './autograd/tape.ts';
export { assertRankView } from './nn/assert-rank-view.ts';
export { decodedWeight } from './nn/decoded-weight.ts';
export { EmbeddingTable } from './nn/embedding-table.ts';
export {
  inferenceContext,
  type ActivePart,
  type ActiveRank,
  type Recompute,
  type ForwardContext,
} from './nn/forward-context.ts';
export {
  headLoss,
  type SoftTargets,
  type SoftTargetUse,
  type HeadLossOperands,
  type HeadLossOptions,
} from './nn/head-loss.ts';
export { LayerNormLayer } from './nn/layer-norm-layer.ts';
export {
  isPacked,
  Linear,
  plusResidual,
  packedOperands,
  projectTogether,
  type LinearWeight,
  type LinearLike,
} from './nn/linear.ts';
export { modulesOf, parametersOf, mapLinears, type Module } from './nn/module-tree.ts';
export { RmsNormLayer } from './nn/rms-norm-layer.ts';
export {
  activation,
  activationBackward,
  differentiableActivation,
  type ActivationAttributes,
} from './ops/activations/activation.ts';
export {
  ACTIVATION_KINDS,
  activationFunction,
  type ActivationKind,
  type ActivationFunction,
} from './ops/activations/activation-function.ts';
export {
  activationGate,
  activationGateBackward,
  differentiableActivationGate,
} from './ops/activations/activation-gate.ts';
export { adamw8bitRates, adamw8bitStep } from './ops/optimizers/adamw-8bit-step.ts';
export { adamwRates, adamwStep, type AdamwAttributes, type AdamwRates } from './ops/optimizers/adamw-step.ts';
export { add, addInto, differentiableAdd } from './ops/elements/add.ts';
export { appendRows } from './ops/attention/append-rows.ts';
export {
  causalAttention,
  causalAttentionBackward,
  differentiableCausalAttention,
  type AttentionAttributes,
} from './ops/attention/causal-attention.ts';
export { copy } from './ops/elements/copy.ts';
export { dropout, differentiableDropout, type DropoutAttributes } from './ops/activations/dropout.ts';
export {
  embedding,
  embeddingBackward,
  assertIdsWithin,
  differentiableEmbedding,
} from './ops/products/embedding.ts';
export { fill } from './ops/elements/fill.ts';
export {
  layerNorm,
  layerNormBackward,
  differentiableLayerNorm,
  type LayerNormAttributes,
} from './ops/norms/layer-norm.ts';
export {
  linear,
  linearInputGradient,
  linearWeightGradient,
  differentiableLinear,
  type ComputeDtype,
  type LinearAttributes,
} from './ops/products/linear.ts';
export { linearArgmax } from './ops/products/linear-argmax.ts';
export { IGNORED_TARGET } from './ops/products/head-logits.ts';
export {
  differentiableLinearCrossEntropy,
  linearCrossEntropy,
  type CrossEntropyAttributes,
} from './ops/products/linear-cross-entropy.ts';
export {
  linearCrossEntropyTopK,
  differentiableLinearCrossEntropyTopK,
  type TopKAttributes,
} from './ops/products/linear-cross-entropy-top-k.ts';
export {
  linearDistillation,
  differentiableLinearDistillation,
  type DistillationAttributes,
} from './ops/products/linear-distillation.ts';
export { lion8bitStep } from './ops/optimizers/lion-8bit-step.ts';
export { lionRates, lionStep, type LionAttributes } from './ops/optimizers/lion-step.ts';
export { quantizeRows } from './ops/products/quantize-rows.ts';
export { readElement } from './ops/elements/read-element.ts';
export { residualNorm, differentiableResidualNorm } from './ops/norms/residual-norm.ts';
export {
  rmsNorm,
  rmsNormBackward,
  differentiableRmsNorm,
  type RmsNormAttributes,
} from './ops/norms/rms-norm.ts';
export { ropeTable, rope, differentiableRope, type RopeAttributes } from './ops/attention/rope.ts';
export { scaleBy, differentiableScaleBy } from './ops/elements/scale-by.ts';
export {
  softCap,
  softCapBackward,
  differentiableSoftCap,
  type SoftCapAttributes,
} from './ops/activations/soft-cap.ts';
export {
  splitColumns,
  joinColumns,
  differentiableSplitColumns,
  type SplitAttributes,
} from './ops/elements/split-columns.ts';
export {
  STATE_BLOCK_SIZE,
  stateBlocks,
  codeLimits,
  forEachStateBlock,
  encodeStateBlock,
  type StateBlock,
  type CodedState,
} from './ops/optimizers/state-codes.ts';
export { sumOfSquares } from './ops/optimizers/sum-of-squares.ts';
export { Parameter } from './parameter.ts';
export { constant, leaf, type Tensor, type FloatTensor } from './tensor.ts';
