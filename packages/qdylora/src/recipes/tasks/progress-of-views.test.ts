import { expect, it } from 'vitest';
import { progressOfViews } from './progress-of-views.ts';
import type { RecipeProgress } from '../hooks.ts';

it('counts the passes of each view, and the slowest one says how long it takes', () => {
  const seen: RecipeProgress[] = [];
  const progressOf = progressOfViews((progress) => seen.push(progress));
  const [whole, kept, resumed] = [progressOf(), progressOf(), progressOf()];
  whole.onPassCount!(4);
  kept.onPassCount!(0); // all its answers are kept: it has no pass
  resumed.onPassCount!(2);
  whole.onProgress!({ done: 1, total: 4, secondsLeft: 30 });
  resumed.onProgress!({ done: 2, total: 2, secondsLeft: 0 });
  whole.onProgress!({ done: 4, total: 4, secondsLeft: 0 });
  expect(seen).toEqual([
    { done: 1, total: 6, secondsLeft: 30 },
    { done: 3, total: 6, secondsLeft: 30 },
    { done: 6, total: 6, secondsLeft: 0 },
  ]);
});
