import type { ArrayView, FloatDType, Rng } from '@qdylora/contract';
import type { Recorder } from '../autograd/tape.ts';
import type { ComputeDtype } from '../ops/products/linear.ts';

/**
 * Rows of a pass (tokens) at a rank of their own: those from the end of the part before up to `until`.
 * `weight`: of the gradients that they give to the adapters; 1 by default.
 */
export interface ActivePart {
  readonly until: number;
  readonly rank: number;
  readonly trainFrom: number;
  readonly weight?: number;
}

/**
 * Which part of the nested adapters this pass uses. A value, not a state: two passes with two ranks never
 * meet.
 */
export interface ActiveRank {
  /** Rows in use: 1 … maxRank. */
  readonly rank: number;
  /** First row whose gradient is made: 0 (the whole prefix), or the start of the newest block. */
  readonly trainFrom: number;
  /**
   * Where tokens of one pass run at several ranks: which. `rank` is then their largest, `trainFrom` their
   * smallest.
   */
  readonly parts?: readonly ActivePart[];
}

/**
 * Which blocks run again in backward instead of keeping what they compute: `true` = each by itself, so that
 * one input a block is kept; `every: n` = n of them at a time, one input for n blocks; `first: k` = each of
 * the first k, while the others keep theirs. The same bits for all.
 */
export type Recompute = boolean | { readonly every: number } | { readonly first: number };

/** Everything that a forward pass depends on besides weights and tokens. */
export interface ForwardContext extends Recorder {
  readonly computeDtype: ComputeDtype;
  /**
   * Of rows on their way from one product to the next inside a branch, and of their gradients: bf16 takes
   * half the memory, and half the time on the way there. The residual sum stays float32. f32 where left out.
   */
  readonly activationDtype?: FloatDType;
  /** null: the base model alone, as if there were no adapters. */
  readonly active: ActiveRank | null;
  /** Present while training: dropout masks come from (rng, layer name, counter). `counter`: [1], the step. */
  readonly dropout: { readonly rng: Rng; readonly counter: ArrayView<'i32'> } | null;
  /** Gradient checkpointing. */
  readonly recompute: Recompute;
}

/** A pass without gradients and adapters. */
export const inferenceContext = (
  backend: Recorder['backend'],
  computeDtype: ComputeDtype = 'f32',
): ForwardContext => ({ backend, tape: null, computeDtype, active: null, dropout: null, recompute: false });
