import { parse } from 'node:path';
import { expect, it } from 'vitest';
import { packageFolder } from './load-addon.ts';

it('the folder of a package is the nearest one with a package.json, and the root if there is none', () => {
  const { root } = parse(import.meta.dirname);
  expect([packageFolder(), packageFolder(root)]).toEqual([parse(import.meta.dirname).dir, root]);
});
