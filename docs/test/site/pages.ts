import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { allPages } from '../read-pages.ts';
import { PHONE_VIEWPORT, seriousViolations, shoot, type Site } from './open-site.ts';

/** One page of each kind. */
const KINDS = [
  'index',
  'start/five-minutes',
  'start/in-the-page',
  'decide/will-it-fit',
  'decide/read-a-report',
  'decide/compared',
  'understand/nf4',
  'understand/nested-ranks',
  'do/own-trainer',
  'reference/keys',
  'reference/errors',
  'reference/api/quant',
  'move/axolotl',
  'trust/benchmarks',
  'trust/support',
  'research/every-rank',
];

/** With QDYLORA_DEEP=1 all pages of the last build. */
const pagesToVisit = (): readonly string[] =>
  process.env.QDYLORA_DEEP === '1' ? [...allPages().keys()].map((path) => path.replace(/\.md$/, '')) : KINDS;

/** A4 at 96 dots per inch. */
const PAPER = { width: 794, height: 1123 };

/** What a page must not have in any of its looks. */
export function pageCases(site: () => Site): void {
  it('the landing page paints within a second', async () => {
    const paints: number[] = [];
    for (let attempt = 0; attempt < 5 && !(Math.min(...paints) < 1000); attempt++) {
      await using visit = await site().visit('index');
      const paint = await visit.page.evaluate(
        () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime,
      );
      if (paint !== undefined) paints.push(paint);
    }
    expect(Math.min(...paints)).toBeLessThan(1000);
  });

  it('the landing page needs at most 150 kB of script, and its curve tells loss and bytes', async () => {
    await using visit = await site().visit('index');
    const { page } = visit;
    await page.waitForLoadState('networkidle');
    expect(visit.scriptBytes()).toBeLessThan(150_000);
    await page.locator('.for-wide .mark .target').nth(3).hover();
    expect(await page.locator('.rank-curve output').textContent()).toMatch(/^rank 8: held-out loss \d.*MB$/);
  });

  describe.concurrent('every kind of page', () => {
    it.each(pagesToVisit())(
      '%s: no error, no foreign request, nothing serious for axe; light, dark, on a phone and on paper',
      async (path) => {
        await using visit = await site().visit(path, { colorScheme: 'light' });
        const { page, problems } = visit;
        const found = [...(await seriousViolations(page))];
        await shoot(page, `${path}-light`);
        await page.emulateMedia({ colorScheme: 'dark' });
        await page.waitForSelector('html.dark');
        found.push(...(await seriousViolations(page, ['color-contrast'])));
        await shoot(page, `${path}-dark`);
        found.push(...(await problemsOnPaper(page, path)));
        await page.emulateMedia({ media: 'screen', colorScheme: 'light' });
        await page.setViewportSize(PHONE_VIEWPORT);
        await shoot(page, `${path}-phone`);
        if ((await widthOf(page)) > PHONE_VIEWPORT.width)
          found.push(`${await widthOf(page)} pixels wide on a phone`);
        expect([...problems, ...found]).toEqual([]);
      },
    );
  });
}

const widthOf = (page: Page): Promise<number> => page.evaluate(() => document.documentElement.scrollWidth);

/** On paper: the text alone, in dark ink whatever the screen shows, and no wider than the sheet. */
async function problemsOnPaper(page: Page, path: string): Promise<string[]> {
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
  await page.setViewportSize(PAPER);
  await shoot(page, `${path}-print`);
  const chrome = ['.VPNav', '.VPLocalNav', '.VPSidebar', '.VPDocAside', '.VPDocFooter'];
  const shown = await page.evaluate(
    (selectors) =>
      selectors.filter((selector) => {
        const element = document.querySelector(selector);
        return element !== null && element.getClientRects().length > 0;
      }),
    chrome,
  );
  const [ground, ink] = await page.evaluate(() => {
    const { backgroundColor } = getComputedStyle(document.body);
    return [backgroundColor, getComputedStyle(document.querySelector('.vp-doc')!).color];
  });
  const brightness = (colour: string): number => Number(/\d+/.exec(colour)?.[0] ?? 255);
  return [
    ...shown.map((selector) => `${selector} is printed`),
    ...(brightness(ground) > 200 && brightness(ink) < 100 ? [] : [`printed in ${ink} on ${ground}`]),
    ...((await widthOf(page)) > PAPER.width ? [`${await widthOf(page)} pixels wide on paper`] : []),
  ];
}
