import { describe, expect, it } from 'vitest';
// @ts-expect-error Vite hands a file over as text when its name ends with ?raw; the compiler does not know that.
import readme from '../README.md?raw';
import * as quant from './index.ts';

/** The first example, with its import turned into a destructuring and each `expression; // value` into a check. */
const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(readme as string) ?? [];
const body = example.replace(/import (\{.*?\}) from '@qdylora\/quant';/, 'const $1 = quant;').replace(/^(.+); \/\/ (.+)$/gm, 'check($1, $2);');

describe('the README', () => {
  it('shows values that its first example really gives', () => {
    let checks = 0;
    const check = (got: unknown, said: unknown): void => { checks++; expect(got).toEqual(said); };
    new Function('quant', 'check', body)(quant, check);
    expect(checks).toBe(4);
  });
});
