import { assertArgument } from '@qdylora/contract';
import { NOT_COUNTED, type TokenBatch } from '@qdylora/data';

/**
 * Splits a batch between its segments into `parts` batches of about the same number of segments, in order.
 * Nothing is copied.
 *
 * @throws QdyloraError BAD_ARGUMENT for a batch with fewer segments than parts.
 */
export function splitBatch(batch: TokenBatch, parts = 2): TokenBatch[] {
  const segments = batch.segments.length - 1;
  const cut = (part: number): number => Math.floor((part * segments) / parts);
  assertArgument(
    Number.isSafeInteger(parts) && parts >= 1 && segments >= parts,
    'split-batch',
    `A batch of ${segments} segments cannot be split into ${parts} parts`,
  );
  return Array.from({ length: parts }, (_, part) => segmentsOf(batch, cut(part), cut(part + 1)));
}

/** Segments `[from, to)`. */
function segmentsOf(batch: TokenBatch, from: number, to: number): TokenBatch {
  const start = batch.segments[from];
  const end = batch.segments[to];
  const targets = batch.targets.subarray(start, end);
  return {
    ids: batch.ids.subarray(start, end),
    targets,
    positions: batch.positions.subarray(start, end),
    segments: batch.segments.slice(from, to + 1).map((at) => at - start),
    predictedTokens: targets.reduce((count, target) => count + (target === NOT_COUNTED ? 0 : 1), 0),
  };
}
