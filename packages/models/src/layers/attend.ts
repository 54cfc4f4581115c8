import { f32View, type ArrayView } from '@qdylora/contract';
import { apply, constant, differentiableCausalAttention, differentiableRope } from '@qdylora/tensor';
import type { Hidden } from './layer-pass.ts';
import type { LayerPass } from './layer-pass.ts';

/**
 * Attention of projected rows, between the projections: q and k turn by their positions, the cache takes k
 * and v, the softmax its window, cap and slopes.
 * q: [tokens, heads · headDim]  k, v: [tokens, kvHeads · headDim]  →  [tokens, heads · headDim]
 */
export function attend(pass: LayerPass, q: Hidden, k: Hidden, v: Hidden): Hidden {
  const {
    ctx,
    batch,
    cache,
    attention: { heads, kvHeads, headDim, scale, window, softCap, alibiSlopes },
  } = pass;
  const turnedQ = turned(pass, q);
  const turnedK = turned(pass, k);
  const seen = cache
    ? cache.append(ctx.backend, turnedK.view as ArrayView<'f32'>, v.view as ArrayView<'f32'>)
    : { k: turnedK, v, segments: batch.segments };
  return apply(
    ctx,
    differentiableCausalAttention,
    {
      q: turnedQ,
      k: seen.k,
      v: seen.v,
      querySegments: constant(batch.segments),
      keySegments: constant(seen.segments),
      alibiSlopes: alibiSlopes ? constant(f32View([heads], alibiSlopes)) : undefined,
    } as never,
    { heads, kvHeads, headDim, scale, window, softCap, computeDtype: ctx.computeDtype } as never,
  ).y as Hidden;
}

/** Turns each head by its token's angles, in place: nothing reads the unturned rows. */
const turned = ({ ctx, angles, attention: { headDim } }: LayerPass, x: Hidden): Hidden =>
  angles ? apply(ctx, differentiableRope, { x, ...angles }, { headDim, inverse: false }, { y: 'x' }).y : x;
