import type { ForwardContext } from '@qdylora/tensor';

/** Blocks from … to − 1, which backward recomputes together or whose intermediate values are kept. */
export interface RecomputeSpan {
  readonly from: number;
  readonly to: number;
  readonly isRecomputed: boolean;
}

/**
 * Divides the blocks of a forward pass as its `recompute` asks: `true` recomputes each block on its own,
 * `{ every: n }` n blocks at a time, `{ first: n }` only the first n. Without a tape nothing is recomputed.
 */
export function recomputeSpans({ recompute, tape }: ForwardContext, blocks: number): RecomputeSpan[] {
  if (!tape || recompute === false) return [{ from: 0, to: blocks, isRecomputed: false }];
  const size = recompute !== true && 'every' in recompute ? recompute.every : 1;
  const end = recompute !== true && 'first' in recompute ? Math.min(recompute.first, blocks) : blocks;
  const spans = Array.from({ length: Math.ceil(end / size) }, (_, i): RecomputeSpan => ({
    from: i * size,
    to: Math.min((i + 1) * size, end),
    isRecomputed: true,
  }));
  return end < blocks ? [...spans, { from: end, to: blocks, isRecomputed: false }] : spans;
}
