import type { ArrayView, Backend } from '@qdylora/contract';
import type { RankView } from '@qdylora/lora-dynamic';
import type { ForwardContext, Parameter, SoftTargetUse, Tensor } from '@qdylora/tensor';

/** The arrays of one pass: `ids`, `targets`, `positions`: [tokens]  `segments`: [examples + 1] */
export interface LossBatch {
  readonly ids: Int32Array;
  readonly targets: Int32Array;
  readonly positions: Int32Array;
  readonly segments: Int32Array;
}

/** The arrays of a pass in the backend's memory. `tokenWeights`: [tokens], factors of the token losses. */
export interface LossArrays {
  readonly ids: ArrayView<'i32'>;
  readonly targets: ArrayView<'i32'>;
  readonly positions: ArrayView<'i32'>;
  readonly segments: ArrayView<'i32'>;
  readonly tokenWeights: ArrayView<'f32'>;
}

/** The interface of a model that can be trained. The models of @qdylora/models implement it. */
export interface LossModel {
  readonly backend: Backend;
  /**
   * Number of classes of the head. A model that sets it supports `softTargets`; other models cannot distill.
   */
  readonly vocabularySize?: number;
  /**
   * loss = lossScale · Σ over counted tokens, recorded on `ctx.tape`.
   * → loss: [1]  tokenLosses: [tokens], 0 if not counted
   * With `softTargets` the pass also writes its predictions to them, or learns from the predictions of
   * another pass (`headLoss` of tensor).
   */
  loss(
    ctx: ForwardContext,
    batch: LossBatch,
    options: { readonly lossScale: number; readonly softTargets?: SoftTargetUse | undefined },
  ): { readonly loss: Tensor<ArrayView<'f32'>>; readonly tokenLosses: ArrayView<'f32'> };
  /**
   * `loss` in two parts, for passes that are recorded and replayed: the checks of a batch, and the ops over
   * arrays that stay in place. loss: [1] = Σ tokenWeights · token losses.
   * Without these two methods, passes are not recorded.
   */
  assertInputs?(batch: LossBatch): void;
  lossOfArrays?(
    ctx: ForwardContext,
    arrays: LossArrays,
    softTargets?: SoftTargetUse,
  ): { readonly loss: Tensor<ArrayView<'f32'>> };
  /** All dense weights, trainable or frozen. */
  parameters(): Parameter[];
}

/** A model at the rank that a pass trains; `active` is null for a model without adapters. */
export type TrainingView = RankView<LossModel>;
