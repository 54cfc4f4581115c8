import type { EvalProgress } from '@qdylora/eval';
import type { RecipeProgress } from '../evaluate.ts';

/**
 * Progress over several views of a model that answer the same requests together. The time left is that of the
 * slowest view.
 *
 * @returns the progress function of view v
 */
export function progressOfViews(
  views: number,
  onProgress: ((progress: RecipeProgress) => void) | undefined,
): (v: number) => ((progress: EvalProgress) => void) | undefined {
  const byView = new Map<number, EvalProgress>();
  return (v) => {
    if (!onProgress) return undefined;
    return (progress) => {
      byView.set(v, progress);
      const all = [...byView.values()];
      onProgress({
        done: all.reduce((sum, { done }) => sum + done, 0),
        total: views * progress.total,
        secondsLeft: all.reduce((most, { secondsLeft }) => Math.max(most, secondsLeft), 0),
      });
    };
  };
}
