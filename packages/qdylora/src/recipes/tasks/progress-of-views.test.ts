import { expect, it } from 'vitest';
import type { RecipeProgress } from '../evaluate.ts';
import { progressOfViews } from './progress-of-views.ts';

it('counts over all views, and expects later views to take as long as the present one', () => {
  let seconds = 0;
  const seen: RecipeProgress[] = [];
  const progressOf = progressOfViews(
    3,
    (progress) => seen.push(progress),
    () => seconds,
  );
  const first = progressOf(0)!;
  seconds = 10;
  first({ done: 1, total: 4, secondsLeft: 30 });
  const last = progressOf(2)!;
  seconds = 14;
  last({ done: 4, total: 4, secondsLeft: 0 });
  expect(seen).toEqual([
    { done: 1, total: 12, secondsLeft: 30 + 2 * 40 },
    { done: 12, total: 12, secondsLeft: 0 },
  ]);
});
