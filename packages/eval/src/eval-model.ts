import type { ArrayView, Backend } from '@qdylora/contract';
import type { RankView } from '@qdylora/lora-dynamic';
import type { ForwardContext } from '@qdylora/tensor';

/** The arrays of one pass: `ids`, `targets`, `positions`: [tokens]  `segments`: [examples + 1] */
export interface EvalBatch {
  readonly ids: Int32Array;
  readonly targets: Int32Array;
  readonly positions: Int32Array;
  readonly segments: Int32Array;
}

/** What a model must offer to be judged by its loss; @qdylora/models has such models, and so may you. */
export interface EvalModel {
  readonly backend: Backend;
  /**
   * tokenLosses: [tokens], −log p of each counted target, 0 where not counted; it belongs to the scope that
   * the call is made in
   */
  loss(
    ctx: ForwardContext,
    batch: EvalBatch,
    options: { readonly lossScale: number },
  ): { readonly tokenLosses: ArrayView<'f32'> };
}

/** A model at one rank, or (`active` null) without its adapter. */
export type EvalView = RankView<EvalModel>;
