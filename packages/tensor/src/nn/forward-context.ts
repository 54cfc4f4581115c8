import type { Rng } from '@qdylora/contract';
import type { Recorder } from '../autograd/tape.ts';
import type { ComputeDtype } from '../ops/linear.ts';

/** Which part of the nested adapters this pass uses. A value, not a state: two passes with two ranks never meet. */
export interface ActiveRank {
  /** Rows in use: 1 … maxRank. */
  readonly rank: number;
  /** First row whose gradient is made: 0 (the whole prefix), or the start of the newest block. */
  readonly trainFrom: number;
}

/** Everything that a forward pass depends on besides weights and tokens. */
export interface ForwardContext extends Recorder {
  readonly computeDtype: ComputeDtype;
  /** null: the base model alone, as if there were no adapters. */
  readonly active: ActiveRank | null;
  /** Present while training: dropout masks come from (rng, layer name, step). */
  readonly dropout: { readonly rng: Rng; readonly step: number } | null;
  /** Keep only each block's input and run the block again in backward. */
  readonly recompute: boolean;
}

/** A pass without gradients and adapters. */
export const inferenceContext = (backend: Recorder['backend'], computeDtype: ComputeDtype = 'f32'): ForwardContext =>
  ({ backend, tape: null, computeDtype, active: null, dropout: null, recompute: false });
