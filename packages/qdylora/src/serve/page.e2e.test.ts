import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { chromiumPath, openPage, type BrowserPage } from '../../test/chromium.ts';
import { EMBEDDED_BASE, serveRuns, trainRuns, type ServedRun } from '../../test/served-run.ts';

const chromium = chromiumPath();

let adapters: string[];
let run: ServedRun;
let page: BrowserPage;

beforeAll(async () => {
  if (!chromium) return;
  adapters = await trainRuns(EMBEDDED_BASE, ['smol']);
  run = await serveRuns(adapters);
  page = await openPage(chromium, `${run.url}/`);
}, 180_000);

beforeEach((context) => context.skip(!chromium, 'there is no chromium in the PATH'));

afterAll(async () => {
  await page?.close();
  await run?.[Symbol.asyncDispose]();
});

/** Waits until an expression is true. */
async function until(expression: string, shown = page): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (await shown.evaluate<boolean>(`Boolean(${expression})`)) return;
    await sleep(50);
  }
  throw new Error(`never: ${expression}`);
}

const texts = (selector: string) =>
  page.evaluate<string[]>(
    `[...document.querySelectorAll('${selector}')].map((e) => e.value ?? e.textContent)`,
  );

test('the page compares two ranks side by side', async () => {
  await until(`document.querySelector('#adapter option')`);
  const report = JSON.parse(readFileSync(`${adapters[0]}/report.json`, 'utf8')) as {
    smallest_good_rank: number;
  };
  expect(await texts('output')).toEqual(['the base', `${report.smallest_good_rank} (recommended)`]);
  // the slider's positions are the base and ranks 1, 2 and 4: position 1 is rank 1, and 2 is rank 2
  const other = report.smallest_good_rank === 2 ? 1 : 2;
  await page.evaluate(`(() => {
    const [, right] = document.querySelectorAll('.slider');
    right.value = '${other}';
    right.dispatchEvent(new Event('input'));
    document.querySelector('#max-tokens').value = '8';
    document.querySelector('#prompt').value = 'say 3';
    document.querySelector('#ask').requestSubmit();
  })()`);
  expect(await texts('output')).toEqual(['the base', String(other)]);
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

test('every control has a name, and the page loads nothing from elsewhere', async () => {
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

test('a message that is sent before the key is entered stays, and the key is asked for', async () => {
  await using guarded = await serveRuns(adapters, { apiKey: 'secret' });
  const shown = await openPage(chromium!, `${guarded.url}/`);
  const alert = `document.querySelector('#problem')?.textContent`;
  const state = () =>
    shown.evaluate<unknown[]>(`[
      ${alert}, document.querySelector('#prompt').value, document.querySelectorAll('.messages li').length
    ]`);
  const needsKey = 'This server needs its API key.';
  await until(`${alert} === '${needsKey}'`, shown);
  await shown.evaluate(`(() => {
    document.querySelector('#problem').textContent = '';
    document.querySelector('#max-tokens').value = '2';
    document.querySelector('#prompt').value = 'say 3';
    document.querySelector('#ask').requestSubmit();
  })()`);
  await until(alert, shown);
  expect(await state()).toEqual([needsKey, 'say 3', 0]);
  await shown.evaluate(`(() => {
    document.querySelector('#key').value = 'secret';
    document.querySelector('#key').dispatchEvent(new Event('change'));
  })()`);
  await until(`document.querySelector('#adapter option')`, shown);
  expect(await state()).toEqual(['', 'say 3', 0]);
  await shown.evaluate(`document.querySelector('#ask').requestSubmit()`);
  await until(
    `[...document.querySelectorAll('.speed')].every((e) => e.textContent.includes('tokens'))`,
    shown,
  );
  expect(await state()).toEqual(['', '', 4]);
  await shown.close();
});
