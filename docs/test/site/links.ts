import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { SIDEBAR } from '../../.vitepress/navigation.ts';
import { anchorsOf } from '../../generate/anchors.ts';
import { allPages, docsFolder, withoutCode } from '../read-pages.ts';
import { builtFolder } from './open-site.ts';

/** What the links of all pages lead to, those of generated pages too. */
export function linkCases(): void {
  let pages: ReadonlyMap<string, string>;
  beforeAll(() => {
    pages = allPages();
  });

  it('every link of every page leads to a page, and to an anchor on it', () => {
    const problems: string[] = [];
    const anchors = new Map([...pages].map(([path, text]) => [path, anchorsOf(text)]));
    let count = 0;
    for (const [from, text] of pages)
      for (const [, link] of withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)) {
        const target = targetOf(from, link);
        if (!target) continue;
        count++;
        const isFile = !target.page.endsWith('.md');
        const onDisk = [join(docsFolder, target.page), join(docsFolder, 'public', target.page)];
        if (isFile ? !onDisk.some(existsSync) : !pages.has(target.page)) problems.push(`${from}: ${link}`);
        else if (target.anchor && !isFile && !anchors.get(target.page)!.has(target.anchor))
          problems.push(`${from}: ${link}`);
      }
    expect(problems).toEqual([]);
    expect(count).toBeGreaterThan(500);
  });

  it('every address in the HTML is one that the site has, images and files too', () => {
    const html = [...pages.keys()].map((path) => path.replace(/\.md$/, '.html'));
    const missing = html.flatMap((path) =>
      [...readFileSync(join(builtFolder, path), 'utf8').matchAll(/(?:href|src)="(\/[^"#?]*)/g)]
        .map(([, address]) => (address.endsWith('/') ? `${address}index.html` : address))
        .filter((address) => !existsSync(join(builtFolder, address)))
        .map((address) => `${path}: ${address}`),
    );
    expect(missing).toEqual([]);
  });

  it('every page is in the navigation, and the navigation has no other page', () => {
    const listed = (items: typeof SIDEBAR): string[] =>
      items.flatMap(({ link, items: inner = [] }) => [
        ...(link ? [`${link.slice(1)}.md`] : []),
        ...listed(inner),
      ]);
    const expected = [...pages.keys()].filter(
      (path) => !['index.md', 'reference/api/index.md'].includes(path),
    );
    expect(listed(SIDEBAR).sort()).toEqual(expected.sort());
  });
}

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
