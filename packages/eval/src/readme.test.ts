import { readFileSync } from 'node:fs';
import * as lora from '@qdylora/lora-dynamic';
import { describe, expect, it } from 'vitest';
import * as tiny from '../test/tiny-model.ts';
import * as evaluation from './index.ts';

/** The first example, with its imports turned into destructurings and each `expression; // value` into a check. */
const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(readFileSync(new URL('../README.md', import.meta.url), 'utf8')) ?? [];
const body = example.replace(/import (\{.*?\}) from '(.*?)';.*/g, "const $1 = modules['$2'];").replace(/^(.+); \/\/ (.+)$/gm, 'check($1, $2);');
const modules = { '@qdylora/lora-dynamic': lora, '@qdylora/eval': evaluation, './tiny-model.ts': tiny };

describe('the README', () => {
  it('shows values that its first example really gives', async () => {
    let checks = 0;
    const check = (got: unknown, said: unknown): void => { checks++; expect(got).toEqual(said); };
    await (new Function('modules', 'check', `return (async () => {${body}})()`) as (m: object, c: typeof check) => Promise<void>)(modules, check);
    expect(checks).toBe(6);
  });
});
