import { QdyloraError, type ArrayView } from '@qdylora/contract';
import { apply } from '../autograd/tape.ts';
import { differentiableLinearCrossEntropy } from '../ops/products/linear-cross-entropy.ts';
import { differentiableLinearCrossEntropyTopK } from '../ops/products/linear-cross-entropy-top-k.ts';
import { differentiableLinearDistillation } from '../ops/products/linear-distillation.ts';
import type { Parameter } from '../parameter.ts';
import { constant, type Tensor } from '../tensor.ts';
import type { ForwardContext } from './forward-context.ts';

type F32 = ArrayView<'f32'>;

/**
 * What a head predicts of each token: its k most likely classes, and the probability of all others.
 * topIds: [tokens, k]   topLogProbabilities: [tokens, k]   tailMass: [tokens]
 */
export interface SoftTargets {
  readonly topIds: ArrayView<'i32'>;
  readonly topLogProbabilities: F32;
  readonly tailMass: F32;
}

/**
 * How a pass uses soft targets. `teacher`: writes its head's predictions into `arrays`. `student`: learns
 * from `arrays`; `weight` is their share of the loss.
 */
export type SoftTargetUse =
  | { readonly role: 'teacher'; readonly arrays: SoftTargets }
  | { readonly role: 'student'; readonly arrays: SoftTargets; readonly weight: number };

/** The arrays of `headLoss`. */
export interface HeadLossOperands {
  /** [tokens, hidden] */
  readonly x: Tensor<F32>;
  /** [vocabulary, hidden] */
  readonly weight: Parameter;
  /** [tokens]; −100 is ignored. */
  readonly targets: ArrayView<'i32'>;
  /** Factor on the loss of each token: [tokens]; 1 by default. */
  readonly tokenWeights?: F32 | undefined;
}

/** Options of `headLoss`: the scale of the loss, the cap of the logits, and the use of soft targets. */
export interface HeadLossOptions {
  /** Factor on the sum over tokens: 1 / predicted tokens for a mean. */
  readonly lossScale: number;
  /** A logit z becomes c·tanh(z / c); 0 by default: no cap. */
  readonly softCap?: number;
  /** Predictions that the pass writes or learns from; none by default. */
  readonly softTargets?: SoftTargetUse | undefined;
}

/**
 * Head and loss of a model in one op, with soft targets where the pass has any.
 *
 * loss: [1] = lossScale · Σ tokenWeights · tokenLosses   tokenLosses: [tokens]
 *
 * @throws QdyloraError BAD_ARGUMENT for soft targets beside a head that is trained
 */
export function headLoss(
  ctx: ForwardContext,
  { x, weight, targets, tokenWeights }: HeadLossOperands,
  { lossScale, softCap = 0, softTargets }: HeadLossOptions,
): { loss: Tensor<F32>; tokenLosses: F32 } {
  if (softTargets && weight.needsGradient)
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'head-loss',
      problem: `Soft targets need a frozen head, but ${weight.name} is trained`,
      nextStep: 'Turn distillation off, or do not train the head.',
    });
  const { computeDtype } = ctx;
  const attributes = { computeDtype, lossScale, softCap, gradient: ctx.tape !== null };
  const inputs = {
    x,
    weight: weight as never,
    targets: constant(targets),
    tokenWeights: tokenWeights && constant(tokenWeights),
  };
  if (!softTargets) {
    const { loss, tokenLosses } = apply(ctx, differentiableLinearCrossEntropy, inputs, attributes);
    return { loss, tokenLosses: tokenLosses.view };
  }
  const { arrays } = softTargets;
  if (softTargets.role === 'teacher') {
    const topK = arrays.topIds.shape[1];
    const over = { ...arrays };
    const result = apply(ctx, differentiableLinearCrossEntropyTopK, inputs, { ...attributes, topK }, over);
    return { loss: result.loss, tokenLosses: result.tokenLosses.view };
  }
  const softInputs = {
    ...inputs,
    topIds: constant(arrays.topIds),
    topLogProbabilities: constant(arrays.topLogProbabilities),
    tailMass: constant(arrays.tailMass),
  };
  const { loss, tokenLosses } = apply(ctx, differentiableLinearDistillation, softInputs, {
    ...attributes,
    distillation: softTargets.weight,
  });
  return { loss, tokenLosses: tokenLosses.view };
}
