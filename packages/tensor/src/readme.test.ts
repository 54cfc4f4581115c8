import * as contract from '@qdylora/contract';
import { runReadme } from '@qdylora/testing';
import { expect, it } from 'vitest';
// @ts-expect-error Vite imports a file as text when its name ends with ?raw; the compiler does not know that.
import readme from '../README.md?raw';
import * as tensor from './index.ts';

it('the README shows values that its example really gives', async () => {
  const values = await runReadme(readme as string, {
    '@qdylora/contract': contract,
    '@qdylora/tensor': tensor,
  });
  expect(values.length).toBe(2);
  for (const { code, got, said } of values) expect(got, code).toEqual(said);
});
