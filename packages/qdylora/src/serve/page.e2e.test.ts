import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chromiumPath, openPage, type BrowserPage } from '../../test/chromium.ts';
import { EMBEDDED_BASE, serveRuns, trainRuns, type ServedRun } from '../../test/served-run.ts';

const chromium = chromiumPath();
if (!chromium) console.log('skipped: the page of the server, because there is no chromium in the PATH');

let run: ServedRun;
let page: BrowserPage;

beforeAll(async () => {
  if (!chromium) return;
  run = await serveRuns(await trainRuns(EMBEDDED_BASE, ['smol']));
  page = await openPage(chromium, `${run.url}/`);
}, 180_000);

afterAll(async () => {
  await page?.close();
  await run?.[Symbol.asyncDispose]();
});

/** Waits until an expression is true. */
async function until(expression: string): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (await page.evaluate<boolean>(`Boolean(${expression})`)) return;
    await sleep(50);
  }
  throw new Error(`never: ${expression}`);
}

const texts = (selector: string) =>
  page.evaluate<string[]>(
    `[...document.querySelectorAll('${selector}')].map((e) => e.value ?? e.textContent)`,
  );

test.skipIf(!chromium)('the page compares two ranks side by side', async () => {
  await until(`document.querySelector('#adapter option')`);
  expect(await texts('output')).toEqual(['the base', '4 (recommended)']);
  await page.evaluate(`(() => {
    const [, right] = document.querySelectorAll('.slider');
    right.value = '1';
    right.dispatchEvent(new Event('input'));
    document.querySelector('#max-tokens').value = '8';
    document.querySelector('#prompt').value = 'say 3';
    document.querySelector('#ask').requestSubmit();
  })()`);
  expect(await texts('output')).toEqual(['the base', '1']);
  await until(`[...document.querySelectorAll('.speed')].every((e) => e.textContent.includes('tokens/s'))`);
  expect(await texts('.messages li.user span')).toEqual(['say 3', 'say 3']);
  const answers = await texts('.messages li.assistant span');
  expect(answers.every((text) => text.length > 0)).toBe(true);
  expect((await texts('.speed'))[0]).toMatch(
    /^8 tokens, [\d.]+ tokens\/s, first after [\d.]+ s, cut at the limit$/,
  );
  if (process.env.QDYLORA_SCREENSHOT) writeFileSync(process.env.QDYLORA_SCREENSHOT, await page.screenshot());
  expect(page.problems).toEqual([]);
});

test.skipIf(!chromium)('every control has a name, and the page loads nothing from elsewhere', async () => {
  const nameless = await page.evaluate<
    string[]
  >(`[...document.querySelectorAll('input, select, textarea, button')]
    .filter((e) => !(e.labels?.length || e.textContent.trim() || e.ariaLabel)).map((e) => e.outerHTML)`);
  expect(nameless).toEqual([]);
  const origins = await page.evaluate<string[]>(
    `[...new Set(performance.getEntriesByType('resource').map((e) => new URL(e.name).origin))]`,
  );
  expect(origins).toEqual([run.url]);
});
