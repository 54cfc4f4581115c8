import type { MeasureOptions } from './eval-task.ts';

/**
 * A function to call after each pass with its index, which reports the progress to `onProgress`.
 *
 *     seconds left = elapsed seconds · remaining tokens / finished tokens
 *
 * @param passTokens tokens of each pass: [passes]
 */
export function passReporter(
  passTokens: readonly number[],
  { onProgress, clock = () => performance.now() / 1000 }: MeasureOptions,
): (pass: number) => void {
  if (!onProgress) return () => {};
  const start = clock();
  let done = 0;
  let finishedTokens = 0;
  let remainingTokens = passTokens.reduce((sum, tokens) => sum + tokens, 0);
  return (pass) => {
    const tokens = passTokens[pass];
    done++;
    finishedTokens += tokens;
    remainingTokens -= tokens;
    const secondsLeft = ((clock() - start) * remainingTokens) / finishedTokens;
    onProgress({ done, total: passTokens.length, secondsLeft });
  };
}
