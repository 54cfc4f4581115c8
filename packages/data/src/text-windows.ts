import { assertArgument } from '@qdylora/contract';
import type { Example } from './token-batch.ts';

/**
 * Cuts a text into consecutive windows without overlap: `ids: [tokens]` → `ceil(tokens / windowLength)`
 * examples; the last one may be shorter. Every token is counted except the first of each window, which has no
 * token before it. Labels and ids share memory.
 *
 * @throws QdyloraError BAD_ARGUMENT for windows of fewer than two tokens, which have nothing to predict.
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
