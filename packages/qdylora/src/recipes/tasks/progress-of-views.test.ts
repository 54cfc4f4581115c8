import { expect, it } from 'vitest';
import type { RecipeProgress } from '../evaluate.ts';
import { progressOfViews } from './progress-of-views.ts';

it('counts over all views, and the slowest one says how long it takes', () => {
  const seen: RecipeProgress[] = [];
  const progressOf = progressOfViews(3, (progress) => seen.push(progress));
  const first = progressOf(0)!;
  first({ done: 1, total: 4, secondsLeft: 30 });
  progressOf(2)!({ done: 4, total: 4, secondsLeft: 0 });
  first({ done: 2, total: 4, secondsLeft: 20 });
  expect(seen).toEqual([
    { done: 1, total: 12, secondsLeft: 30 },
    { done: 5, total: 12, secondsLeft: 30 },
    { done: 6, total: 12, secondsLeft: 20 },
  ]);
});
