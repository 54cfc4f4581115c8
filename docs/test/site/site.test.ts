import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writtenPages } from '../read-pages.ts';
import { linkCases } from './links.ts';
import { builtFolder, buildSite, CHROMIUM, openSite, type Site } from './open-site.ts';
import { pageCases } from './pages.ts';
import { partCases } from './parts.ts';
import { keyboardCases } from './keyboard.ts';
import { taskCases } from './tasks.ts';

// The site is built once for all tests of this file. QDYLORA_DOCS_BUILT=1 takes the one that is there.

const BUILD_TIMEOUT = 900_000;
if (!CHROMIUM) console.log('[docs] skipped: the browser cases, because there is no chromium in the PATH');

beforeAll(async () => {
  if (process.env.QDYLORA_DOCS_BUILT !== '1') await buildSite();
}, BUILD_TIMEOUT);

describe('links', linkCases);

it('agents find a list of all pages, and each page as Markdown', () => {
  const file = (name: string): string => readFileSync(join(builtFolder, name), 'utf8');
  const paths = [...file('llms.txt').matchAll(/\]\(\/([\w/-]+\.md)\)/g)].map(([, path]) => path);
  expect(paths.filter((path) => !existsSync(join(builtFolder, path)))).toEqual([]);
  expect(paths.length).toBeGreaterThan(45);
  const full = file('llms-full.txt');
  expect(paths.filter((path) => !full.includes(`url: /${path}\n`))).toEqual([]);
});

it('every TypeScript block of a written page has the types of its names', () => {
  const counts = [...writtenPages()].map(([path, text]) => ({
    path,
    blocks: text.match(/^```ts$|^<<< .*\.ts$/gm)?.length ?? 0,
    typed: readFileSync(join(builtFolder, path.replace(/\.md$/, '.html')), 'utf8')
      .split('<pre class="shiki')
      .filter((block) => /^[^>]*\btwoslash\b/.test(block) && block.includes('class="type-of')).length,
  }));
  expect(counts.filter(({ blocks, typed }) => blocks !== typed)).toEqual([]);
  expect(counts.filter(({ blocks }) => blocks > 0).length).toBeGreaterThan(4);
});

describe('in a browser', () => {
  let site: Site;
  beforeAll(async () => {
    if (CHROMIUM) site = await openSite();
  });
  afterAll(async () => {
    await site?.[Symbol.asyncDispose]();
  });
  beforeEach(({ skip }) => {
    if (!CHROMIUM) skip('there is no chromium in the PATH');
  });
  pageCases(() => site);
  partCases(() => site);
  keyboardCases(() => site);
  taskCases(() => site);
});
