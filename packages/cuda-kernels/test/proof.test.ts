import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isDeep } from './schedules.ts';
import { proofTable } from './proof-table.ts';

test('the table of what is proved without a GPU is the one in the file', ({ skip }) => {
  skip(isDeep, 'a deep run makes other calls');
  expect(readFileSync(new URL('proof.tsv', import.meta.url), 'utf8')).toBe(proofTable());
});
