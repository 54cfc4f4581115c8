import type { AnswerOptions, EvalProgress } from '@qdylora/eval';
import type { RecipeProgress } from '../hooks.ts';

/**
 * Progress over several views of a model that answer requests together. Views differ in their numbers of
 * passes: answers may be kept from before, and a race drops ranks. The time left is that of the slowest view.
 *
 * @returns the hooks of one more view
 */
export function progressOfViews(
  onProgress: ((progress: RecipeProgress) => void) | undefined,
): () => Pick<AnswerOptions, 'onPassCount' | 'onProgress'> {
  const byView: EvalProgress[] = [];
  return () => {
    if (!onProgress) return {};
    const v = byView.push({ done: 0, total: 0, secondsLeft: 0 }) - 1;
    return {
      onPassCount: (total) => {
        byView[v] = { done: 0, total, secondsLeft: 0 };
      },
      onProgress: (progress) => {
        byView[v] = progress;
        onProgress({
          done: byView.reduce((sum, { done }) => sum + done, 0),
          total: byView.reduce((sum, { total }) => sum + total, 0),
          secondsLeft: byView.reduce((most, { secondsLeft }) => Math.max(most, secondsLeft), 0),
        });
      },
    };
  };
}
