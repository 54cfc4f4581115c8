import { assertArgument } from '@qdylora/contract';
import { NOT_COUNTED, type TokenBatch } from '@qdylora/data';

/**
 * The segments of a batch as two batches, the first half and the rest; nothing is copied. Each has at least one segment.
 *
 * @throws QdyloraError BAD_ARGUMENT for a batch of fewer than two segments.
 */
export function splitBatch(batch: TokenBatch): [TokenBatch, TokenBatch] {
  const segments = batch.segments.length - 1, half = segments >> 1;
  assertArgument(segments >= 2, 'split-batch', `expected at least two segments to split, got ${segments}`);
  return [segmentsOf(batch, 0, half), segmentsOf(batch, half, segments)];
}

/** Segments `[from, to)`. */
function segmentsOf(batch: TokenBatch, from: number, to: number): TokenBatch {
  const start = batch.segments[from]!, end = batch.segments[to]!, targets = batch.targets.subarray(start, end);
  return {
    ids: batch.ids.subarray(start, end), targets, positions: batch.positions.subarray(start, end),
    segments: batch.segments.slice(from, to + 1).map((at) => at - start),
    predictedTokens: targets.reduce((count, target) => count + (target === NOT_COUNTED ? 0 : 1), 0),
  };
}
