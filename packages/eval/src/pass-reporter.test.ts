import { expect, it } from 'vitest';
import type { EvalProgress } from './eval-task.ts';
import { passReporter } from './pass-reporter.ts';

it('counts the tokens of the pass that ended, in whatever order passes end', () => {
  let seconds = 0;
  const reports: EvalProgress[] = [];
  const reportPass = passReporter([30, 10, 20], {
    clock: () => seconds,
    onProgress: (progress) => reports.push(progress),
  });
  for (const pass of [1, 2, 0]) {
    seconds += 3;
    reportPass(pass);
  }
  expect(reports).toEqual([
    { done: 1, total: 3, secondsLeft: (3 * 50) / 10 },
    { done: 2, total: 3, secondsLeft: (6 * 30) / 30 },
    { done: 3, total: 3, secondsLeft: 0 },
  ]);
});
