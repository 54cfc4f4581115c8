import type { MeasureOptions } from './eval-task.ts';

/**
 * A function to call after each forward pass, which reports the progress to `onProgress`.
 *
 *     seconds left = elapsed seconds · remaining tokens / finished tokens
 *
 * @param passTokens tokens of each pass, in the order of the passes: [passes]
 */
export function passReporter(
  passTokens: readonly number[],
  { onProgress, clock = () => performance.now() / 1000 }: MeasureOptions,
): () => void {
  if (!onProgress) return () => {};
  const start = clock();
  let done = 0;
  let finishedTokens = 0;
  let remainingTokens = passTokens.reduce((sum, tokens) => sum + tokens, 0);
  return () => {
    const tokens = passTokens[done++];
    finishedTokens += tokens;
    remainingTokens -= tokens;
    const secondsLeft = ((clock() - start) * remainingTokens) / finishedTokens;
    onProgress({ done, total: passTokens.length, secondsLeft });
  };
}
