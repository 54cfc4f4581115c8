import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import * as library from './index.ts';
import { fixturePath } from './test-support/fixture-path.ts';
import { withoutTypes } from '@qdylora/testing';
import { temporaryFolder } from '@qdylora/testing/node';

const blocks = [...readFileSync(fixturePath('../README.md'), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)].map(
  ([, code]) => code!,
);
const root = temporaryFolder();

/** Runs one example against our source; every `console.log(…); // text` must print its text. */
async function runExample(code: string): Promise<void> {
  const expected = [...code.matchAll(/console\.log\(.*\);\s*\/\/ (.*)/g)].map(([, text]) => text!.trim());
  const printed: string[] = [];
  const body = code
    .replace(/import \{(.*)\} from '@qdylora\/checkpoint';/, 'const {$1} = library;')
    .replaceAll("'fixtures/", `'${fixturePath('')}`)
    .replace(/'(adapter|state)\b/g, `'${root}/$1`);
  const log = (...values: unknown[]): void => {
    printed.push(values.map((value) => (typeof value === 'string' ? value : inspect(value))).join(' '));
  };
  const run = new Function('library', 'console', withoutTypes(`return (async () => {${body}})()`)) as (
    module: typeof library,
    console: { log: typeof log },
  ) => Promise<void>;
  await run(library, { log });
  expect(printed).toEqual(expected);
  expect(printed.length).toBeGreaterThan(0);
}

it.each(
  blocks.map((code) => [
    code.split('\n').find((line) => line.startsWith('const') || line.startsWith('await'))!,
    code,
  ]),
)('the README example with «%s» prints what it says', async (_, code) => {
  await runExample(code);
});

it('the README has examples', () => expect(blocks.length).toBe(4));
