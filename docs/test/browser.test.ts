import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { questionPrompt } from '@qdylora/data';
import { generate } from '@qdylora/models';
import { KNOWN_MODELS } from '../workbench/models.ts';
import { openEmbeddedBase } from '../workbench/open-embedded-base.ts';
import { planInPage } from '../workbench/plan-in-page.ts';
import { docsFolder } from './read-pages.ts';
import { serveFolder } from './static-site.ts';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
);
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const dist = join(docsFolder, '.vitepress/dist');

/** One page of each kind. */
const PAGES = [
  'index',
  'start/five-minutes',
  'start/in-the-page',
  'decide/will-it-fit',
  'decide/read-a-report',
  'decide/compared',
  'understand/nf4',
  'understand/nested-ranks',
  'reference/keys',
  'reference/errors',
  'move/axolotl',
  'trust/benchmarks',
  'trust/support',
];

let browser: Browser | null = null;
let site: Awaited<ReturnType<typeof serveFolder>>;

/** Why these tests do not run; null where they do. A build takes too long for every `npm test`. */
const obstacle = !CHROMIUM
  ? 'needs Chromium in /usr/bin'
  : process.env.QDYLORA_DOCS_TEST === '1'
    ? null
    : 'needs a built site: npm run docs:test';

beforeAll(async () => {
  if (obstacle !== null) return;
  site = await serveFolder(dist);
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
}, 600_000);
afterAll(async () => {
  await browser?.close();
  site?.close();
});

interface Visit {
  readonly page: Page;
  /** Errors of the console, and requests to other origins. */
  readonly problems: string[];
  /** Bytes of script, compressed as a server would. */
  scriptBytes(): number;
}

async function visit(path: string, options: Parameters<Browser['newContext']>[0] = {}): Promise<Visit> {
  const context = await browser!.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const problems: string[] = [];
  let scriptBytes = 0;
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('pageerror', ({ message }) => problems.push(message));
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(site.origin) && !/^(data|blob|about):/.test(url)) problems.push(url);
  });
  page.on('response', async (response) => {
    if (!response.url().endsWith('.js')) return;
    const body = await response.body().catch(() => null); // the page was closed
    if (body) scriptBytes += gzipSync(body).length;
  });
  await page.goto(`${site.origin}/${path === 'index' ? '' : `${path}.html`}`, { waitUntil: 'networkidle' });
  return { page, problems, scriptBytes: () => scriptBytes };
}

async function shoot(page: Page, name: string): Promise<void> {
  const folder = process.env.QDYLORA_SCREENSHOTS;
  if (folder)
    await page.screenshot({ path: join(folder, `${name.replaceAll('/', '-')}.png`), fullPage: true });
}

beforeEach(({ skip }) => {
  if (obstacle !== null) skip(obstacle);
});

describe('every kind of page', () => {
  it.each(PAGES)(
    '%s: no error, no foreign request, nothing serious for axe, light and dark',
    async (path) => {
      for (const colorScheme of ['light', 'dark'] as const) {
        const { page, problems } = await visit(path, { colorScheme });
        await page.evaluate(axeSource);
        const found = await page.evaluate(async () => {
          const { axe } = window as unknown as { axe: { run(): Promise<{ violations: Violation[] }> } };
          interface Violation {
            readonly id: string;
            readonly impact: string;
            readonly nodes: { readonly html: string }[];
          }
          const { violations } = await axe.run();
          return (
            violations
              .filter(({ impact }) => impact === 'serious' || impact === 'critical')
              // the theme's search button is called Search and also shows its shortcut
              .filter(({ id }) => id !== 'label-content-name-mismatch')
              .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`)
          );
        });
        await shoot(page, `${path}-${colorScheme}`);
        expect([...problems, ...found]).toEqual([]);
        await page.context().close();
      }
    },
  );

  it.each(PAGES)('%s: nothing is wider than a phone of 360 pixels', async (path) => {
    const { page } = await visit(path, { viewport: { width: 360, height: 740 }, isMobile: true });
    await shoot(page, `${path}-phone`);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
    await page.context().close();
  });
});

it('the landing page needs at most 150 kB of script, and its curve tells loss and bytes', async () => {
  const { page, scriptBytes } = await visit('index');
  expect(scriptBytes()).toBeLessThan(150_000);
  await page.locator('.for-wide .mark .target').nth(3).hover();
  expect(await page.locator('.rank-curve output').textContent()).toMatch(/^rank 8: held-out loss \d.*MB$/);
  await page.context().close();
});

it('will it fit: what a person chooses is planned with the bytes of the command', async () => {
  const { page, problems } = await visit('decide/will-it-fit');
  await page.selectOption('[name=model]', 'Falcon-40b (paper)');
  await page.fill('[name=rows]', '1');
  await page.selectOption('[name=memory]', '32');
  await page.waitForFunction(
    () => document.querySelector('.verdict')?.textContent?.includes('30.'),
    undefined,
    {
      timeout: 120_000,
    },
  );
  const shown = await page
    .locator('table.parts tr')
    .evaluateAll((rows) => rows.map((row) => Number((row as HTMLElement).dataset.bytes)));
  const { config } = KNOWN_MODELS.find(({ name }) => name === 'Falcon-40b (paper)')!;
  const plan = await planInPage({
    config,
    options: { microBatchSize: 1, maxSeqLength: 512 },
    memoryBytes: 32e9,
  });
  expect(shown).toEqual(plan.parts.map(({ bytes }) => bytes).filter((bytes) => bytes > 0));
  expect(await page.locator('.verdict').textContent()).toContain('It fits into 32 GB');
  await page.selectOption('[name=model]', '');
  await page.fill('[name=config]', JSON.stringify({ model_type: 'mamba' }));
  await page.locator('.problem').waitFor({ timeout: 120_000 });
  expect(await page.locator('.problem').textContent()).toContain('mamba is not supported');
  await shoot(page, 'will-it-fit-refused');
  expect(problems).toEqual([]);
  await page.context().close();
});

it('the NF4 playground follows block size and double quantization, and takes a file', async () => {
  const { page, problems } = await visit('understand/nf4');
  const verdict = page.locator('.verdict');
  await page.getByText('4.127 bits a weight').waitFor();
  await page.uncheck('[name=double]');
  await page.getByText('4.500 bits a weight').waitFor();
  await page.selectOption('[name=block]', '32');
  await page.getByText('5.000 bits a weight').waitFor();
  await page.setInputFiles('[name=file]', join(docsFolder, 'public/demo/adapter/adapter_model.safetensors'));
  await page.getByText('lora_A').waitFor();
  expect(await verdict.textContent()).toContain('5.000 bits');
  expect(problems).toEqual([]);
  await page.context().close();
});

it('nested ranks: the arrow keys move the rank, and loss and bytes follow', async () => {
  const { page, problems } = await visit('understand/nested-ranks');
  const slider = page.locator('[name=rank]');
  await page.getByText('mlp.down_proj').waitFor();
  await slider.focus();
  await page.keyboard.press('Home');
  expect(await page.locator('.verdict').textContent()).toMatch(/^rank 1: .*108.* kB|^rank 1: .*0\.1 MB/);
  await page.keyboard.press('End');
  expect(await page.locator('.verdict').textContent()).toMatch(/^rank 16: /);
  await page.selectOption('[name=schedule]', 'all');
  expect(await page.locator('td.drawn').count()).toBe(5 * 12);
  expect(problems).toEqual([]);
  await page.context().close();
});

it('the report viewer shows dropped files as report.html does, and says what is wrong', async () => {
  const { page, problems } = await visit('decide/read-a-report');
  const demo = (name: string): string => join(docsFolder, 'public/demo', name);
  await page.setInputFiles('[name=files]', [demo('report.json'), demo('events.jsonl')]);
  const frame = page.frameLocator('iframe');
  await frame.getByText('rank 64').first().waitFor();
  expect(await frame.locator('svg').count()).toBeGreaterThan(2);
  await shoot(page, 'report-viewer');
  await page.setInputFiles('[name=files]', demo('adapter/manifest.json'));
  expect(await page.locator('.problem').textContent()).toContain('no report.json');
  expect(problems).toEqual([]);
  await page.context().close();
});

it('try it: the page writes the tokens that the packages write in Node', async () => {
  const { page, problems } = await visit('start/in-the-page');
  await page.getByRole('button', { name: 'Answer' }).click();
  await page.getByText('by the TypeScript backend').waitFor({ timeout: 300_000 });
  await shoot(page, 'try-it');
  const read = async (path: string): Promise<ArrayBuffer> => {
    const { buffer, byteOffset, length } = readFileSync(join(docsFolder, 'public', path));
    return buffer.slice(byteOffset, byteOffset + length) as ArrayBuffer;
  };
  const { adapted, tokenizer } = await openEmbeddedBase(read);
  const prompt = await page.locator('[name=prompt]').inputValue();
  const ids: number[] = [];
  const start = tokenizer.encode(questionPrompt(prompt));
  for await (const id of generate(adapted.atRank(8), start, { maxNewTokens: 48, stopIds: [0] })) ids.push(id);
  expect(await page.locator('pre.answer').textContent()).toBe(tokenizer.decode(ids));
  expect(problems).toEqual([]);
  await page.context().close();
});

it('the search finds a key and an error code by the keyboard alone', async () => {
  const { page } = await visit('index');
  for (const [text, target] of [
    ['wide_ratio', '/reference/keys.html#wide-ratio'],
    ['BAD_DATA', '/reference/errors.html#bad-data'],
  ]) {
    await page.keyboard.press('Control+k');
    await page.locator('.VPLocalSearchBox input').fill(text);
    await page.locator('.VPLocalSearchBox .result').first().waitFor();
    const links = await page
      .locator('.VPLocalSearchBox a.result')
      .evaluateAll((all) => all.map((link) => link.getAttribute('href')));
    expect(links).toContain(target);
    await page.keyboard.press('Escape');
  }
  await page.context().close();
});
