import { readFileSync } from 'node:fs';
import { runReadme } from '@qdylora/testing';
import { afterAll, expect, it } from 'vitest';
import { temporaryFolder, writeTinyModel, writeTinyRows } from '../test/tiny-model.ts';
import * as qdylora from './index.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

it('the README shows values that its examples really give', async () => {
  writeTinyModel(folder.in('models/tiny'));
  writeTinyRows(folder.in('rows.jsonl'));
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8').replace(/'((?:models|runs)\/[^']+|rows\.jsonl)'/g, (_, path: string) => `'${folder.in(path)}'`);
  const values = await runReadme(readme, { qdylora });
  expect(values.length).toBe(3);
  for (const { code, got, said } of values) expect(got, code).toEqual(said);
});
