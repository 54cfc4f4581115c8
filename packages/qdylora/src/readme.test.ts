import { readFileSync } from 'node:fs';
import { runReadme } from '@qdylora/testing';
import { afterAll, expect, it, vi } from 'vitest';
import { temporaryPlace, writeTinyModel, writeTinyRows } from '../test/tiny-model.ts';
import * as qdylora from './index.ts';

const folder = temporaryPlace();
const home = process.cwd();
afterAll(() => process.chdir(home));

it('the README shows values that its examples really give', async () => {
  writeTinyModel(folder.in('model'));
  writeTinyRows(folder.in('rows.jsonl'));
  process.chdir(folder.path); // the examples name files of the working directory
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  const values = await runReadme(readFileSync(new URL('../README.md', import.meta.url), 'utf8'), { qdylora });
  expect([values.length, log.mock.calls.length]).toEqual([3, 10]);
  log.mockRestore();
  for (const { code, got, said } of values) expect(got, code).toEqual(said);
});
