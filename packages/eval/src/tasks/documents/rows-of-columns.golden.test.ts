import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { jsonText, readRowValues } from '@qdylora/data';
import { temporaryFolder } from '@qdylora/testing/node';
import { expect, it } from 'vitest';
import { HARNESS_FIXTURES } from '../../../test/harness-cases.ts';
import { rowsOfColumns } from './rows-of-columns.ts';

interface Split {
  readonly name: string;
  readonly written: readonly string[];
  readonly read: readonly string[];
}

/** What `datasets` 5.2.0 reads from files of JSON lines (packages/testing/makers/make_harness_rows.py). */
const { splits } = JSON.parse(readFileSync(join(HARNESS_FIXTURES, 'rows.expected.json'), 'utf8')) as {
  readonly splits: readonly Split[];
};

it.each(splits)('rows equal those of datasets: $name', async ({ written, read }) => {
  const file = join(temporaryFolder(), 'test.jsonl');
  writeFileSync(file, written.join('\n'));
  const rows = rowsOfColumns(await readRowValues(file));
  expect(rows.map(({ value }) => jsonText(value, {}, () => {}))).toEqual(read);
});
