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
import type { HeadCodes } from '../generate/head-codes.ts';
import type { LossArrays } from './batch-arrays.ts';

type F32 = ArrayView<'f32'>;

/** Hidden states to logits, losses and tokens. x: [tokens, hidden] */
export interface ModelHead {
  /** [tokens, vocabulary] */
  logits(ctx: ForwardContext, x: Tensor<F32>): Tensor<F32>;
  /** Logits of the last row: [1, vocabulary] */
  lastLogits(ctx: ForwardContext, x: Tensor<F32>): F32;
  /** The id with the greatest logit in the last row: [1] */
  likeliest(ctx: ForwardContext, x: Tensor<F32>, codes?: HeadCodes): ArrayView<'i32'>;
  /** The ids with the greatest logits in rows of x: [rows] */
  likeliestOfRows(ctx: ForwardContext, x: F32): ArrayView<'i32'>;
  /** loss: [1] = lossScale · Σ tokenWeights · tokenLosses; tokenLosses: [tokens] */
  loss(
    ctx: ForwardContext,
    x: Tensor<F32>,
    arrays: Pick<LossArrays, 'targets' | 'tokenWeights'>,
    options: Omit<HeadLossOptions, 'softCap'>,
  ): { loss: Tensor<F32>; tokenLosses: F32 };
}

/**
 * logits = x · weightᵀ, then c · tanh(logits / c) where the soft cap c is not 0.
 *
 * @param parameter [vocabulary, hidden]
 */
export function createModelHead(parameter: Parameter, softCap: number): ModelHead {
  const weight = parameter as never;
  const logits = (ctx: ForwardContext, x: Tensor<F32>): Tensor<F32> => {
    const { computeDtype } = ctx;
    const { y } = apply(ctx, differentiableLinear, { x, weight, bias: undefined }, { computeDtype });
    return softCap > 0 ? apply(ctx, differentiableSoftCap, { x: y }, { cap: softCap }).y : (y as Tensor<F32>);
  };
  /** A soft cap is monotonic: it does not change which logit is the greatest. */
  const greatest = (ctx: ForwardContext, x: F32, codes?: HeadCodes): ArrayView<'i32'> => {
    const operands = { x, weight: parameter.view as FloatView, ...codes?.operands };
    return runOp(ctx.backend, linearArgmax, operands, { computeDtype: ctx.computeDtype }).ids;
  };
  return {
    logits,
    lastLogits: (ctx, x) => logits(ctx, constant(lastRow(x))).view,
    likeliest: (ctx, x, codes) => greatest(ctx, lastRow(x), codes),
    likeliestOfRows: (ctx, x) => greatest(ctx, x),
    loss: (ctx, x, { targets, tokenWeights }, options) =>
      headLoss(ctx, { x, weight: parameter, targets, tokenWeights }, { ...options, softCap }),
  };
}

const lastRow = ({ view }: Tensor<F32>): F32 => rowsOf(view, view.shape[0] - 1, view.shape[0]);
