import type { ArrayView, Backend } from '@qdylora/contract';
import type { RankView } from '@qdylora/lora-dynamic';
import type { ForwardContext } from '@qdylora/tensor';

/** Inputs of one forward pass: sequences one after another, without padding. */
export interface EvalBatch {
  /** [tokens] */
  readonly ids: Int32Array;
  /** The token to predict at each position, −100 where none is counted: [tokens] */
  readonly targets: Int32Array;
  /** [tokens] */
  readonly positions: Int32Array;
  /** First token of each example, and the end: [examples + 1] */
  readonly segments: Int32Array;
}

/** What evaluation needs of a model. Models of @qdylora/models have it; so can your own. */
export interface EvalModel {
  readonly backend: Backend;
  /**
   * tokenLosses: [tokens], −log p of each counted target, 0 if not counted. The array is allocated in the
   * memory scope that is open during the call.
   */
  loss(
    ctx: ForwardContext,
    batch: EvalBatch,
    options: { readonly lossScale: number },
  ): { readonly tokenLosses: ArrayView<'f32'> };
}

/** A model at one rank, or without its adapter (`active: null`). */
export type EvalView = RankView<EvalModel>;
