import { readFileSync } from 'node:fs';
import * as data from '@qdylora/data';
import * as lora from '@qdylora/lora-dynamic';
import { runReadme } from '@qdylora/testing';
import { expect, it } from 'vitest';
import * as tiny from '../test/tiny-model.ts';
import * as trainer from './index.ts';

it('the README shows values that its examples really give', async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const values = await runReadme(readme, {
    '@qdylora/data': data,
    '@qdylora/lora-dynamic': lora,
    '@qdylora/trainer': trainer,
    './tiny-model.ts': tiny,
  });
  expect(values.length).toBe(5);
  for (const { code, got, said } of values) expect(got, code).toEqual(said);
});
