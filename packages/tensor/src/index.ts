export * from './autograd/backward.ts';
export * from './autograd/differentiable-op.ts';
export * from './autograd/gradcheck.ts';
export {
  canOffload,
  createInputOffload,
  type InputOffload,
  type KeptInput,
  type OffloadingBackend,
} from './autograd/input-offload.ts';
export * from './autograd/recompute.ts';
export { apply, Tape, type Recorder, type TapeNode } from './autograd/tape.ts';
export { assertView } from './nn/assert-view.ts';
export * from './nn/decoded-weight.ts';
export * from './nn/embedding-table.ts';
export * from './nn/forward-context.ts';
export * from './nn/head-loss.ts';
export * from './nn/layer-norm-layer.ts';
export * from './nn/linear.ts';
export * from './nn/module-tree.ts';
export * from './nn/rms-norm-layer.ts';
export * from './ops/activations/activation.ts';
export * from './ops/activations/activation-function.ts';
export * from './ops/activations/activation-gate.ts';
export { adamw8bitRates, adamw8bitStep } from './ops/optimizers/adamw-8bit-step.ts';
export { adamwRates, adamwStep, type AdamwAttributes, type AdamwRates } from './ops/optimizers/adamw-step.ts';
export * from './ops/elements/add.ts';
export * from './ops/attention/append-rows.ts';
export * from './ops/attention/causal-attention.ts';
export * from './ops/elements/copy.ts';
export * from './ops/activations/dropout.ts';
export * from './ops/products/embedding.ts';
export * from './ops/elements/fill.ts';
export * from './ops/norms/layer-norm.ts';
export * from './ops/products/linear.ts';
export * from './ops/products/linear-argmax.ts';
export { IGNORED_TARGET } from './ops/products/head-logits.ts';
export * from './ops/products/linear-cross-entropy.ts';
export * from './ops/products/linear-cross-entropy-top-k.ts';
export * from './ops/products/linear-distillation.ts';
export * from './ops/optimizers/lion-8bit-step.ts';
export { lionRates, lionStep, type LionAttributes } from './ops/optimizers/lion-step.ts';
export * from './ops/products/quantize-rows.ts';
export * from './ops/elements/read-element.ts';
export * from './ops/norms/residual-norm.ts';
export * from './ops/norms/rms-norm.ts';
export * from './ops/attention/rope.ts';
export * from './ops/elements/scale-by.ts';
export * from './ops/activations/soft-cap.ts';
export * from './ops/elements/split-columns.ts';
export * from './ops/optimizers/state-codes.ts';
export * from './ops/optimizers/sum-of-squares.ts';
export * from './parameter.ts';
export * from './tensor.ts';
