import type { ForwardContext } from '@qdylora/tensor';
import type { BatchArrays } from '../batch-arrays.ts';
import type { AttentionConfig } from '../families/family.ts';
import type { LayerCache } from '../generate/kv-cache.ts';
import type { RotaryAngles } from './rotary-angles.ts';

/** Everything that one layer's forward pass depends on besides its modules and its input. */
export interface LayerPass {
  readonly ctx: ForwardContext;
  readonly batch: BatchArrays;
  readonly attention: AttentionConfig;
  /** Null without rotary embedding. */
  readonly angles: RotaryAngles | null;
  readonly cache?: LayerCache | undefined;
}
