import { expect, it } from 'vitest';
import type { TaskRow } from '../../recipes/tasks/task-rows.ts';
import { taskTable } from './task-table.ts';

const rowOf = (task: string, metric = 'acc'): TaskRow => ({
  rank: null,
  task,
  metric,
  filter: 'none',
  value: 0.5,
  standardError: null,
  documents: 4,
  numFewshot: 0,
  higherIsBetter: true,
});

it('hides the subjects of a group, and no other task that is named like them', () => {
  const rows = [
    ...['mmlu_anatomy', 'mmlu_astronomy', 'mmlu_law_of_mine', 'mmlu_qlora_anatomy'].map((task) =>
      rowOf(task),
    ),
    ...['acc', 'acc_macro'].map((metric) => rowOf('mmlu_stem', metric)),
  ];
  const tasks = { comparisons: [], recommendation: null, races: [] };
  const lines = taskTable(rows, tasks, { paint: (_, text) => text });
  expect(lines.map((line) => line.split(' ')[0])).toEqual([
    ...['task', 'mmlu_law_of_mine', 'mmlu_qlora_anatomy', 'mmlu_stem', 'mmlu_stem'],
  ]);
});
