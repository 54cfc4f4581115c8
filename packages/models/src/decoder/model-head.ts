import { rowsOf, runOp, type ArrayView, type FloatView } from '@qdylora/contract';
import {
  apply,
  constant,
  differentiableLinear,
  differentiableSoftCap,
  headLoss,
  linearArgmax,
  type ForwardContext,
  type HeadLossOptions,
  type Parameter,
  type Tensor,
} from '@qdylora/tensor';
import type { HeadCodes } from './head-codes.ts';
import type { LossArrays } from './batch-arrays.ts';

type F32 = ArrayView<'f32'>;

export interface LikeliestOptions {
  readonly codes?: HeadCodes | undefined;
  readonly into?: ArrayView<'i32'>;
}

/** Hidden states to logits, losses and tokens. x: [tokens, hidden] */
export interface ModelHead {
  /** [vocabulary, hidden] */
  readonly weight: FloatView;
  /** [tokens, vocabulary], written to `into` where it is given */
  logits(ctx: ForwardContext, x: Tensor<F32>, into?: F32): Tensor<F32>;
  /** Logits of the last row: [1, vocabulary] */
  lastLogits(ctx: ForwardContext, x: Tensor<F32>): F32;
  /** The id with the greatest logit in the last row: [1] */
  likeliest(ctx: ForwardContext, x: Tensor<F32>, codes?: HeadCodes): ArrayView<'i32'>;
  /** The ids with the greatest logits in rows of x: [rows], written to `into` where it is given */
  likeliestOfRows(ctx: ForwardContext, x: F32, options?: LikeliestOptions): ArrayView<'i32'>;
  /** loss: [1] = lossScale · Σ tokenWeights · tokenLosses; tokenLosses: [tokens] */
  loss(
    ctx: ForwardContext,
    x: Tensor<F32>,
    arrays: Pick<LossArrays, 'targets' | 'tokenWeights'>,
    options: Omit<HeadLossOptions, 'softCap'>,
  ): { loss: Tensor<F32>; tokenLosses: F32 };
}

/** What an op has written: an array of the caller is not among its results. */
const written = (y: Tensor<F32>, into: F32 | undefined): Tensor<F32> => (into ? constant(into) : y);

/**
 * logits = x · weightᵀ, then c · tanh(logits / c) where the soft cap c is not 0.
 *
 * @param parameter [vocabulary, hidden]
 */
export function createModelHead(parameter: Parameter, softCap: number): ModelHead {
  const weight = parameter as never;
  const logits = (ctx: ForwardContext, x: Tensor<F32>, into?: F32): Tensor<F32> => {
    const { computeDtype } = ctx;
    const inputs = { x, weight, bias: undefined };
    const over = into && { y: into };
    if (softCap <= 0)
      return written(apply(ctx, differentiableLinear, inputs, { computeDtype }, over).y as Tensor<F32>, into);
    const { y } = apply(ctx, differentiableLinear, inputs, { computeDtype });
    return written(apply(ctx, differentiableSoftCap, { x: y }, { cap: softCap }, over).y, into);
  };
  /** A soft cap is monotonic: it does not change which logit is the greatest. */
  const greatest = (
    ctx: ForwardContext,
    x: F32,
    { codes, into }: LikeliestOptions = {},
  ): ArrayView<'i32'> => {
    const operands = { x, weight: parameter.view as FloatView, ...codes?.operands };
    const attributes = { computeDtype: ctx.computeDtype };
    return runOp(ctx.backend, linearArgmax, operands, attributes, into && { ids: into }).ids;
  };
  return {
    weight: parameter.view as FloatView,
    logits,
    lastLogits: (ctx, x) => logits(ctx, constant(lastRow(x))).view,
    likeliest: (ctx, x, codes) => greatest(ctx, lastRow(x), { codes }),
    likeliestOfRows: greatest,
    loss: (ctx, x, { targets, tokenWeights }, options) =>
      headLoss(ctx, { x, weight: parameter, targets, tokenWeights }, { ...options, softCap }),
  };
}

const lastRow = ({ view }: Tensor<F32>): F32 => rowsOf(view, view.shape[0] - 1, view.shape[0]);
