import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SIDEBAR } from '../.vitepress/navigation.ts';
import { anchorsOf } from '../generate/anchors.ts';
import { writeApi } from '../generate/write-api.ts';
import { generatedPages } from '../generate/write-pages.ts';
import { docsFolder, withoutCode, writtenPages } from './read-pages.ts';

const apiFolder = mkdtempSync(join(tmpdir(), 'qdylora-api-'));
const pages = new Map<string, string>();

beforeAll(async () => {
  await writeApi(apiFolder);
  const api = readdirSync(apiFolder).filter((name) => name.endsWith('.md'));
  for (const [path, text] of [...writtenPages(), ...generatedPages()]) pages.set(path, text);
  for (const name of api) pages.set(`reference/api/${name}`, readFileSync(join(apiFolder, name), 'utf8'));
});
afterAll(() => rmSync(apiFolder, { recursive: true, force: true }));

/** The page that a link on `from` names; undefined for a link out of the site. */
function targetOf(
  from: string,
  link: string,
): { readonly page: string; readonly anchor: string } | undefined {
  if (/^[a-z]+:/.test(link)) return undefined;
  const [path, anchor = ''] = link.split('#');
  const full =
    path === '' ? from : normalize(path.startsWith('/') ? path.slice(1) : join(dirname(from), path));
  const page = full === '' || full.endsWith('/') ? `${full}index.md` : full.replace(/(\.html|\.md)?$/, '.md');
  return { page: /\.(svg|png|json|jsonl|txt)$/.test(full) ? full : page, anchor };
}

it('every link of every page leads to a page, and to an anchor on it', () => {
  const problems: string[] = [];
  let count = 0;
  for (const [from, text] of pages)
    for (const [, link] of withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)) {
      const target = targetOf(from, link);
      if (!target) continue;
      count++;
      const isFile = !target.page.endsWith('.md');
      const page = pages.get(target.page);
      const onDisk = [join(docsFolder, target.page), join(docsFolder, 'public', target.page)];
      if (isFile ? !onDisk.some(existsSync) : page === undefined) problems.push(`${from}: ${link}`);
      else if (target.anchor && page && !anchorsOf(page).has(target.anchor))
        problems.push(`${from}: ${link}`);
    }
  expect(problems).toEqual([]);
  expect(count).toBeGreaterThan(500);
});

it('every page is in the navigation, and the navigation has no other page', () => {
  const listed = (items: typeof SIDEBAR): string[] =>
    items.flatMap(({ link, items: inner = [] }) => [
      ...(link ? [`${link.slice(1)}.md`] : []),
      ...listed(inner),
    ]);
  const expected = [...pages.keys()].filter((path) => !['index.md', 'reference/api/index.md'].includes(path));
  expect(listed(SIDEBAR).sort()).toEqual(expected.sort());
});
