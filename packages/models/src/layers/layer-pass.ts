import type { FloatTensor, ForwardContext } from '@qdylora/tensor';
import type { BatchArrays } from '../decoder/batch-arrays.ts';
import type { AttentionConfig } from '../families/family-config.ts';
import type { LayerCache } from '../decoder/kv-cache.ts';
import type { RotaryAngles } from './rotary-angles.ts';

/**
 * Rows of numbers, one a token: [tokens, columns].
 *
 * float32; bf16 between the products of a branch where the pass asks for it (`activationDtype`).
 */
export type Hidden = FloatTensor;

/** Everything that a layer's forward pass depends on besides its modules and its input. */
export interface LayerPass {
  readonly ctx: ForwardContext;
  readonly batch: BatchArrays;
  readonly attention: AttentionConfig;
  /** Rotary angles of the batch; null without rotary embedding. */
  readonly angles: RotaryAngles | null;
  /** Keys and values of earlier tokens; undefined if a sequence is computed at once. */
  readonly cache?: LayerCache | undefined;
}
