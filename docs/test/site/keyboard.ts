import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { docsFolder } from '../read-pages.ts';
import { PHONE_VIEWPORT, seriousViolations, shoot, type Site } from './open-site.ts';

/** The machine may be busy with other tests. */
const PATIENCE = { timeout: 120_000 };
/** More stops than any page has. */
const MOST_STOPS = 200;
const demoAdapter = (name: string): string => join(docsFolder, 'public/demo/adapter', name);

/** A part of the site, the page that it is on, and how it is used without a mouse. */
type KeyboardCase = readonly [part: string, path: string, use: (page: Page) => Promise<void>];

const CASES: readonly KeyboardCase[] = [
  ['the curve of the landing page', 'index', useCurve],
  ['will it fit', 'decide/will-it-fit', usePlanner],
  ['the NF4 playground', 'understand/nf4', usePlayground],
  ['nested ranks', 'understand/nested-ranks', useRanks],
  ['the report viewer', 'decide/read-a-report', useViewer],
  ['try it', 'start/in-the-page', useModel],
  ['the types of a block of code', 'do/own-trainer', useTypes],
  ['the search', 'index', useSearch],
  ['the menu of a phone, and the switch to dark', 'start/install', useMenu],
];

/** Each interactive part by the keyboard alone: Tab reaches it, the focus is drawn, and keys use it. */
export function keyboardCases(site: () => Site): void {
  it.each(CASES)('by the keyboard alone: %s', async (_part, path, use) => {
    await using visit = await site().visit(path);
    await use(visit.page);
    expect(visit.problems).toEqual([]);
  });
}

async function useCurve(page: Page): Promise<void> {
  await tabTo(page, '.rank-curve select');
  await page.keyboard.press('Home');
  expect(await page.locator('.rank-curve output').textContent()).toMatch(/^rank 1: /);
}

async function usePlanner(page: Page): Promise<void> {
  const verdict = page.locator('.verdict');
  await verdict.waitFor(PATIENCE);
  await tabTo(page, '[name=model]');
  await page.keyboard.type('Falcon-40b');
  await tabTo(page, '[name=rows]');
  await page.keyboard.type('1');
  await tabTo(page, '[name=memory]');
  await page.keyboard.type('32');
  await verdict.filter({ hasText: 'It fits into 32 GB' }).waitFor(PATIENCE);
  await tabTo(page, '[name=checkpointing]');
  await page.keyboard.press('Space');
  await verdict.filter({ hasText: 'It does not fit into 32 GB' }).waitFor(PATIENCE);
}

async function usePlayground(page: Page): Promise<void> {
  const verdict = page.locator('.verdict');
  await verdict.waitFor(PATIENCE);
  await tabTo(page, '[name=distribution]');
  await page.keyboard.type('uniform');
  await tabTo(page, '[name=block]');
  await page.keyboard.press('ArrowUp');
  await tabTo(page, '[name=double]');
  await page.keyboard.press('Space');
  await verdict.filter({ hasText: '5.000 bits a weight' }).waitFor(PATIENCE);
  await chooseFile(page, '[name=file]', demoAdapter('adapter_model.safetensors'));
  await verdict.filter({ hasText: 'lora_A' }).waitFor(PATIENCE);
}

async function useRanks(page: Page): Promise<void> {
  const verdict = page.locator('.verdict');
  await page.getByText('mlp.down_proj').waitFor(PATIENCE);
  await tabTo(page, '[name=rank]');
  await page.keyboard.press('Home');
  expect(await verdict.textContent()).toMatch(/^rank 1: /);
  await page.keyboard.press('ArrowRight');
  expect(await verdict.textContent()).toMatch(/^rank 2: /);
  await tabTo(page, '[name=schedule]');
  await page.keyboard.press('End');
  expect(await page.locator('td.drawn').count()).toBe(5 * 12);
}

async function useViewer(page: Page): Promise<void> {
  await page.locator('.workbench').waitFor();
  await chooseFile(page, '[name=files]', demoAdapter('manifest.json'));
  await page.locator('.problem').waitFor();
  await tabTo(page, '.workbench button');
  await page.keyboard.press('Enter');
  await page.frameLocator('iframe').getByText('rank 64').first().waitFor();
}

async function useModel(page: Page): Promise<void> {
  await page.locator('.workbench').waitFor();
  await tabTo(page, '[name=prompt]');
  await page.keyboard.press('Control+a');
  await page.keyboard.type('One pen?');
  await tabTo(page, '[name=rank]');
  await page.keyboard.press('Home');
  expect(await page.locator('.workbench').textContent()).toContain('without the adapter');
  await tabTo(page, '.workbench button');
  await page.keyboard.press('Enter');
  await page.locator('pre.answer').waitFor(PATIENCE);
}

async function useTypes(page: Page): Promise<void> {
  const type = page.locator('.type-of:popover-open');
  await tabTo(page, 'pre.twoslash');
  await page.keyboard.press('ArrowRight');
  await type.filter({ hasText: 'pathToFileURL' }).waitFor();
  await page.keyboard.press('ArrowRight');
  await type.filter({ hasText: 'parseArgs' }).waitFor();
  expect(await type.count()).toBe(1);
  expect(await seriousViolations(page)).toEqual([]);
  await shoot(page, 'types');
  await page.keyboard.press('Escape');
  expect(await type.count()).toBe(0);
  await page
    .locator('.typed', { hasText: /^quantizeNf4/ })
    .first()
    .hover();
  await type.filter({ hasText: 'QuantizedMatrix' }).waitFor();
}

async function useSearch(page: Page): Promise<void> {
  for (const [text, target] of [
    ['BAD_DATA', '/reference/errors.html#bad-data'],
    ['wide_ratio', '/reference/keys.html#wide-ratio'],
    ['BAD_ROW', '/reference/errors.html#bad-row'],
  ]) {
    await page.keyboard.press('Control+k');
    await page.locator('.VPLocalSearchBox input').fill(text);
    // The list is filled twice, each time with its first result selected. Words are marked after the second.
    await page.locator(`.VPLocalSearchBox a.result[href="${target}"] mark`).first().waitFor();
    const selected = page.locator('.VPLocalSearchBox a.result.selected');
    while ((await selected.getAttribute('href')) !== target) await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.waitForURL(`**${target}`);
  }
}

async function useMenu(page: Page): Promise<void> {
  await page.setViewportSize(PHONE_VIEWPORT);
  await tabTo(page, '.VPNavBarHamburger');
  await page.keyboard.press('Enter');
  await tabTo(page, '.VPNavScreen a[href="/reference/keys.html"]');
  await tabTo(page, '.VPNavScreen .VPSwitchAppearance');
  await page.keyboard.press('Enter');
  await page.waitForSelector('html.dark');
}

/** Opens the dialog of a file input with Enter, and chooses a file in it. */
async function chooseFile(page: Page, selector: string, file: string): Promise<void> {
  const chooser = page.waitForEvent('filechooser');
  await tabTo(page, selector);
  await page.keyboard.press('Enter');
  await (await chooser).setFiles(file);
}

/** Presses Tab until the element has the focus, and sees that the focus is drawn. */
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let stop = 0; stop < MOST_STOPS; stop++) {
    await page.keyboard.press('Tab');
    if (!(await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector))) continue;
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle);
    expect(outline, `outline of ${selector}`).not.toBe('none');
    return;
  }
  throw new Error(`Tab does not reach ${selector}`);
}
