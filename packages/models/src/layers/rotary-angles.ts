import { runOp, type ArrayView } from '@qdylora/contract';
import { constant, ropeTable, type ForwardContext, type Tensor } from '@qdylora/tensor';
import type { BatchArrays } from '../decoder/batch-arrays.ts';
import type { RopeFrequencies } from '../config/rope-frequencies.ts';

/** cos and sin of the angles of each token: [tokens, rotaryDim / 2] */
export interface RotaryAngles {
  readonly cos: Tensor<ArrayView<'f32'>>;
  readonly sin: Tensor<ArrayView<'f32'>>;
}

/** The rotary angles of a batch, for all layers that share `rope` frequencies. */
export function rotaryAngles(
  ctx: ForwardContext,
  { positions }: BatchArrays,
  { frequencies, scale }: RopeFrequencies,
): RotaryAngles {
  const { cos, sin } = runOp(
    ctx.backend,
    ropeTable,
    { positions, inverseFrequencies: ctx.backend.memory.constant(frequencies) },
    { scale },
  );
  return { cos: constant(cos), sin: constant(sin) };
}
