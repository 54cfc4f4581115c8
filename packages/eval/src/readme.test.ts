import { readFileSync } from 'node:fs';
import * as lora from '@qdylora/lora-dynamic';
import { runReadme } from '@qdylora/testing';
import { expect, it } from 'vitest';
import * as tiny from '../test/tiny-model.ts';
import * as evaluation from './index.ts';

it('the README shows values that its examples really give', async () => {
  const values = await runReadme(readFileSync(new URL('../README.md', import.meta.url), 'utf8'), {
    '@qdylora/lora-dynamic': lora,
    '@qdylora/eval': evaluation,
    './tiny-model.ts': tiny,
  });
  expect(values.length).toBe(6);
  for (const { code, got, said } of values) expect(got, code).toEqual(said);
});
