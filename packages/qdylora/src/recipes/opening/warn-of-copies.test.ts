import { expect, it } from 'vitest';
import { warnOfCopies } from './warn-of-copies.ts';

const [a, b, c] = [1, 2, 3].map((id) => ({ ids: Int32Array.of(id, id), labels: Int32Array.of(id, id) }));

it.each([
  [[], null],
  [[a, b, c], null],
  [[a, b, a, a], '4 held-out rows, 2 of them distinct'],
  [[a, a], '2 held-out rows, 1 of them distinct'],
])('warns of rows that occur several times', (rows, start) => {
  const notes: string[] = [];
  warnOfCopies(rows, 'held-out rows', (note) => notes.push(note));
  expect(notes).toEqual(
    start
      ? [`${start}: a row that occurs several times counts once in standard errors and comparisons.`]
      : [],
  );
});
