import { f32View, runOp } from '@qdylora/contract';
import { constant, ropeTable, type ForwardContext } from '@qdylora/tensor';
import type { BatchArrays } from '../batch-arrays.ts';
import type { RopeFrequencies } from '../rope-frequencies.ts';
import type { Hidden } from './hidden.ts';

/** cos and sin of every token's angles: [tokens, rotary dimensions / 2] */
export interface RotaryAngles { readonly cos: Hidden; readonly sin: Hidden }

/** The angles of a batch, for all layers that turn alike. */
export function rotaryAngles(ctx: ForwardContext, { positions }: BatchArrays, { frequencies, scale }: RopeFrequencies): RotaryAngles {
  const { cos, sin } = runOp(ctx.backend, ropeTable, { positions, inverseFrequencies: f32View([frequencies.length], frequencies) }, { scale });
  return { cos: constant(cos), sin: constant(sin) };
}
