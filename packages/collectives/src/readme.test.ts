import { runReadme } from '@qdylora/testing';
import { expect, it } from 'vitest';
// @ts-expect-error Vite imports a file as text when its name ends with ?raw; the compiler does not know that.
import readme from '../README.md?raw';
import * as collectives from './index.ts';

it('the README shows values that its examples really give', async () => {
  const values = await runReadme(readme as string, { '@qdylora/collectives': collectives });
  expect(values.length).toBe(3);
  for (const { code, got, said } of values) expect(got, code).toEqual(said);
});
