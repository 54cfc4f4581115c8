import { assertArgument } from '@qdylora/contract';
import type { Example } from './token-batch.ts';

/**
 * Consecutive windows over a text, without overlap: `ids: [tokens]` → `ceil(tokens / windowLength)` examples,
 * the last one perhaps shorter.
 * Every token is counted but the first of each window, which has nothing before it. Labels are the ids (the
 * same memory).
 *
 * @throws QdyloraError BAD_ARGUMENT for a window below two tokens: it would predict nothing.
 */
export function textWindows(ids: ArrayLike<number>, windowLength: number): Example[] {
  assertArgument(
    Number.isInteger(windowLength) && windowLength >= 2,
    'text-windows',
    `\`windowLength\` must be a whole number ≥ 2 (got ${windowLength})`,
  );
  const all = Int32Array.from(ids);
  const windows: Example[] = [];
  for (let from = 0; from < all.length; from += windowLength) {
    const window = all.slice(from, from + windowLength);
    windows.push({ ids: window, labels: window });
  }
  return windows;
}
