import { readFileSync } from 'node:fs';
import { expect, expectTypeOf, it } from 'vitest';
import type { InputOf } from './values/check-values.ts';
import type { KEYS } from './keys.ts';
import { runOptionsSource } from '../../scripts/run-options-source.ts';
import type { RunOptions } from './run-options.ts';

/** Without what a formatter changes. */
const tokens = (source: string): string => source.replace(/[\s|]+/g, '').replaceAll('*', '');

it('is what `npm run options` writes', () => {
  const file = readFileSync(new URL('run-options.ts', import.meta.url), 'utf8');
  expect(tokens(file)).toBe(tokens(runOptionsSource()));
});

it('allows what the keys allow', () => {
  expectTypeOf<InputOf<typeof KEYS>>().toExtend<RunOptions>();
  expectTypeOf<RunOptions>().toExtend<InputOf<typeof KEYS>>();
});
