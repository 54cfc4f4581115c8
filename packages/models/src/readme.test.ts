import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as checkpoint from '@qdylora/checkpoint';
import * as contract from '@qdylora/contract';
import * as tensor from '@qdylora/tensor';
import { runReadme } from '@qdylora/testing';
import { expect, it } from 'vitest';
import * as models from './index.ts';

const at = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

it('the README shows values that its examples really give', async () => {
  const readme = readFileSync(at('README.md'), 'utf8').replace(
    "'fixtures/llama-gqa'",
    `'${at('fixtures/llama-gqa')}'`,
  );
  const values = await runReadme(readme, {
    '@qdylora/contract': contract,
    '@qdylora/tensor': tensor,
    '@qdylora/checkpoint': checkpoint,
    '@qdylora/models': models,
  });
  expect(values.length).toBe(3);
  for (const { code, got, said } of values) expect(got, code).toEqual(said);
});
