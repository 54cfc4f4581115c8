import { DTYPE_BYTES, runOp } from '@qdylora/contract';
import {
  apply,
  constant,
  differentiableAdd,
  differentiableScaleBy,
  fill,
  recompute,
  type ForwardContext,
} from '@qdylora/tensor';
import type { RopeFrequencies } from '../config/rope-frequencies.ts';
import type { Family } from '../families/family.ts';
import type { AttentionConfig, FamilyConfig } from '../families/family-config.ts';
import type { LayerCaches } from './kv-cache.ts';
import type { Hidden } from '../layers/layer-pass.ts';
import { rotaryAngles, type RotaryAngles } from '../layers/rotary-angles.ts';
import type { BatchArrays } from './batch-arrays.ts';
import type { DecoderModules } from './build-decoder.ts';
import { recomputeSpans } from './recompute-spans.ts';

/** A decoder of a family: its config and its modules. */
export interface Decoder<C extends FamilyConfig, L> {
  readonly family: Family<C, L>;
  readonly config: C;
  readonly modules: DecoderModules<L>;
}

export interface DecoderPass {
  readonly ctx: ForwardContext;
  readonly batch: BatchArrays;
  readonly cache?: LayerCaches | undefined;
}

/**
 * The forward pass of a decoder: embedding, all layers, last norm. Returns [tokens, hidden].
 *
 * The embedding is computed inside the first span of blocks, so that recomputing that span recomputes it too.
 */
export function decoderHidden<C extends FamilyConfig, L>(
  { family, config, modules }: Decoder<C, L>,
  { ctx, batch, cache }: DecoderPass,
): Hidden {
  const angles = anglesByRope(ctx, batch, config.attention);
  const block = (inner: ForwardContext, input: Hidden | null, i: number): Hidden => {
    const attention = config.attention[i];
    const pass = {
      ctx: inner,
      batch,
      attention,
      angles: attention.rope && angles.get(attention.rope)!,
      cache: cache?.layers[i],
    };
    return family.forward(modules.layers[i]!, config, pass, input ?? embedded(config, modules, inner, batch));
  };
  const spans = recomputeSpans(ctx, modules.layers.length);
  // the first span makes its input again
  const kept = spans.filter(({ from, isRecomputed }) => from > 0 && isRecomputed).length;
  ctx.offload?.reserve(kept, batch.ids.shape[0] * config.hiddenSize * DTYPE_BYTES.f32);
  let x: Hidden | null = null;
  for (const { from, to, isRecomputed } of spans) {
    const span = (inner: ForwardContext, input: Hidden | null): Hidden | null => {
      let y = input;
      for (let i = from; i < to; i++) {
        const blockInput: Hidden | null = y;
        y = inner.tape
          ? block(inner, blockInput, i)
          : recompute(inner, blockInput, (bare, z) => block(bare, z, i));
        // without a tape nothing reads the output of a block again
        if (!inner.tape && blockInput && blockInput !== input && blockInput.view !== y.view)
          inner.backend.memory.release(blockInput.view);
      }
      return y;
    };
    x = isRecomputed
      ? recompute(ctx, x, span as (inner: ForwardContext, input: Hidden | null) => Hidden)
      : span(ctx, x);
  }
  return modules.norm.forward(ctx, x ?? embedded(config, modules, ctx, batch));
}

/** embedding[id] · scale + positions[position]: [tokens, hidden] */
function embedded<L>(
  { embeddingScale }: FamilyConfig,
  { embedding, positions }: DecoderModules<L>,
  ctx: ForwardContext,
  batch: BatchArrays,
): Hidden {
  const x = embedding.forward(ctx, batch.ids);
  const scaled =
    embeddingScale === 1
      ? x
      : apply(
          ctx,
          differentiableScaleBy,
          { x, factor: constant(runOp(ctx.backend, fill, {}, { value: embeddingScale, shape: [1] }).y) },
          {},
        ).y;
  if (!positions) return scaled;
  const learned = positions.forward(ctx, batch.positions);
  return apply(ctx, differentiableAdd, { a: scaled, b: learned }, {}, { y: 'b' }).y;
}

/** The angles of each distinct `rope`, computed once, outside the blocks: a recomputed block runs twice. */
function anglesByRope(
  ctx: ForwardContext,
  batch: BatchArrays,
  layers: readonly AttentionConfig[],
): Map<RopeFrequencies, RotaryAngles> {
  const ropes = new Set(layers.flatMap(({ rope }) => rope ?? []));
  return new Map([...ropes].map((rope) => [rope, rotaryAngles(ctx, batch, rope)]));
}
