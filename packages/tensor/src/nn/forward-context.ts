import type { ArrayView, FloatDType, Rng } from '@qdylora/contract';
import type { InputOffload } from '../autograd/input-offload.ts';
import type { Recorder } from '../autograd/tape.ts';
import type { ComputeDtype } from '../ops/products/linear.ts';

/**
 * Consecutive tokens of a pass at one rank: from the end of the previous part up to token `until`, exclusive.
 */
export interface ActivePart {
  readonly until: number;
  /** Rank in use, 1 … maxRank; 0: the base without adapters. */
  readonly rank: number;
  /** First row of A and B that gets a gradient: 0 (all of the prefix), or the start of the newest block. */
  readonly trainFrom: number;
  /** Weight of these tokens in the gradients of A and B; default 1. The gradient of x is not weighted. */
  readonly weight?: number;
}

/**
 * The rank of the nested adapters in one pass. It is a value, not a state, so two passes at two ranks never
 * interfere.
 */
export interface ActiveRank {
  /** Rank in use, 1 … maxRank. */
  readonly rank: number;
  /** First row of A and B that gets a gradient: 0 (all of the prefix), or the start of the newest block. */
  readonly trainFrom: number;
  /**
   * Parts of the pass at different ranks. `rank` is then the largest rank, `trainFrom` the smallest start.
   */
  readonly parts?: readonly ActivePart[];
}

/**
 * The blocks that run again in backward instead of keeping their activations (gradient checkpointing).
 * - `true`: each block alone; one input per block is kept.
 * - `every: n`: n blocks at a time; one input per n blocks is kept.
 * - `first: k`: each of the first k blocks; the others keep their activations.
 *
 * The results have the same bits in all cases.
 */
export type Recompute = boolean | { readonly every: number } | { readonly first: number };

/** Everything that a forward pass depends on besides weights and tokens. */
export interface ForwardContext extends Recorder {
  readonly computeDtype: ComputeDtype;
  /**
   * Dtype of activations between the products of a branch, and of their gradients. bf16 halves their memory
   * and traffic. The residual stream stays float32. Default: f32.
   */
  readonly activationDtype?: FloatDType;
  /** null: the base model without adapters. */
  readonly active: ActiveRank | null;
  /** Present while training. Dropout masks derive from (rng, layer name, counter). counter: [1], the step */
  readonly dropout: { readonly rng: Rng; readonly counter: ArrayView<'i32'> } | null;
  /** Gradient checkpointing. */
  readonly recompute: Recompute;
  /**
   * Where the inputs of recomputed blocks rest until backward; null, the default: they stay where they are.
   * Nothing but its block may read such an input.
   */
  readonly offload?: InputOffload | null;
}

/** A pass without gradients and without adapters. */
export const inferenceContext = (
  backend: Recorder['backend'],
  computeDtype: ComputeDtype = 'f32',
): ForwardContext => ({ backend, tape: null, computeDtype, active: null, dropout: null, recompute: false });
