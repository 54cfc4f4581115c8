import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { judgeOwnTask } from './own-task.ts';

test('a model answers the questions of a task of your own', async () => {
  const lines: unknown[][] = [];
  const model = fileURLToPath(new URL('../packages/embedded-base/model', import.meta.url));
  const results = await judgeOwnTask({ model }, (...line) => lines.push(line));
  expect(lines).toHaveLength(2);
  expect(results.map(({ metric, documents, numFewshot }) => [metric, documents, numFewshot])).toEqual([
    ['acc', 4, 2],
    ['acc_norm', 4, 2],
  ]);
  for (const { value } of results) expect(value).toBeGreaterThanOrEqual(0);
});
