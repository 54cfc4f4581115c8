import { apply, differentiableSplitColumns, type LinearLike } from '@qdylora/tensor';
import { attend } from './attend.ts';
import type { Hidden, LayerPass } from './layer-pass.ts';

/** Attention with one matrix for q, k and v. As in PEFT, an adapter wraps the whole matrix. */
export interface FusedAttention {
  readonly queryKeyValue: LinearLike;
  readonly dense: LinearLike;
}

/**
 * Order of the matrix's rows.
 *
 * - `side by side`: all of q, all of k, all of v.
 * - `by kv head`: for each key-value head the queries that share it, its key, its value.
 */
export type FusedLayout = 'side by side' | 'by kv head';

/** x: [tokens, hidden] → [tokens, hidden] */
export function fusedAttention(
  { queryKeyValue, dense }: FusedAttention,
  layout: FusedLayout,
  pass: LayerPass,
  x: Hidden,
): Hidden {
  const {
    ctx,
    attention: { heads, kvHeads, headDim },
  } = pass;
  const groups = layout === 'by kv head' ? kvHeads : 1;
  const query = (heads * headDim) / groups;
  const key = (kvHeads * headDim) / groups;
  const {
    first: q,
    second: k,
    third: v,
  } = apply(
    ctx,
    differentiableSplitColumns,
    { x: queryKeyValue.forward(ctx, x) },
    { groups, widths: [query, key, key] },
  );
  return dense.forward(ctx, attend(pass, q, k, v!));
}
