import type { ArrayView } from '@qdylora/contract';
import { apply, constant, differentiableCausalAttention, differentiableRope } from '@qdylora/tensor';
import type { Hidden, LayerPass } from './layer-pass.ts';

/**
 * Causal attention between the projections: rotary embedding of q and k, key-value cache, softmax(q·kᵀ)·v.
 *
 * q: [tokens, heads · headDim]; k, v: [tokens, kvHeads · headDim]. Returns [tokens, heads · headDim].
 */
export function attend(pass: LayerPass, q: Hidden, k: Hidden, v: Hidden): Hidden {
  const {
    ctx,
    batch,
    cache,
    attention: { heads, kvHeads, headDim, scale, window, softCap, alibiSlopes },
  } = pass;
  const rotatedQ = rotated(pass, q);
  const rotatedK = rotated(pass, k);
  const context = cache
    ? cache.append(ctx.backend, rotatedK.view as ArrayView<'f32'>, v.view as ArrayView<'f32'>)
    : { k: rotatedK, v, segments: batch.segments };
  return apply(
    ctx,
    differentiableCausalAttention,
    {
      q: rotatedQ,
      k: context.k,
      v: context.v,
      querySegments: constant(batch.segments),
      keySegments: constant(context.segments),
      alibiSlopes: alibiSlopes ? constant(ctx.backend.memory.constant(alibiSlopes)) : undefined,
    } as never,
    { heads, kvHeads, headDim, scale, window, softCap, computeDtype: ctx.computeDtype } as never,
  ).y as Hidden;
}

/** Rotates each head by the angles of its token, in place: nothing else reads `x`. */
const rotated = ({ ctx, angles, attention: { headDim } }: LayerPass, x: Hidden): Hidden =>
  angles ? apply(ctx, differentiableRope, { x, ...angles }, { headDim, inverse: false }, { y: 'x' }).y : x;
