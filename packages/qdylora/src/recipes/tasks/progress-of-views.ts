import type { EvalProgress } from '@qdylora/eval';
import type { RecipeProgress } from '../evaluate.ts';

/**
 * Progress over several views of a model that answer the same requests one after another. The time left of
 * the later views is that of the present one.
 *
 * @param now seconds of a monotonic clock
 * @returns the progress function of view v, to be called when it begins
 */
export function progressOfViews(
  views: number,
  onProgress: ((progress: RecipeProgress) => void) | undefined,
  now: () => number = () => performance.now() / 1000,
): (v: number) => ((progress: EvalProgress) => void) | undefined {
  return (v) => {
    if (!onProgress) return undefined;
    const begin = now();
    return ({ done, total, secondsLeft }) => {
      const secondsOfView = now() - begin + secondsLeft;
      onProgress({
        done: v * total + done,
        total: views * total,
        secondsLeft: secondsLeft + (views - v - 1) * secondsOfView,
      });
    };
  };
}
