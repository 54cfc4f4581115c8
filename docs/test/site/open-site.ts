import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { docsFolder } from '../read-pages.ts';
import { serveFolder } from './serve-folder.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** The browser of this machine; undefined if it has none. */
export const CHROMIUM = (process.env.PATH ?? '')
  .split(delimiter)
  .flatMap((folder) => NAMES.map((name) => join(folder, name)))
  .find(existsSync);

/** The machine may be busy with other tests. */
const PATIENCE_MS = 110_000;

/** The narrowest phone that the site is made for. */
export const PHONE_VIEWPORT = { width: 360, height: 740 };

export const builtFolder = join(docsFolder, '.vitepress/dist');

/** `npm run docs:build`. Throws with what it printed where it fails. */
export async function buildSite(): Promise<void> {
  const child = spawn(process.execPath, [join(docsFolder, '../scripts/docs.mjs'), 'build'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...withoutVitest(process.env), NO_COLOR: '1' },
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (printed += data.toString()));
  const status = await new Promise((resolve) => child.on('close', resolve));
  if (status !== 0) throw new Error(`npm run docs:build ended with ${String(status)}:\n${printed}`);
}

/** Vitest sets variables that Vite and Vue heed. */
const withoutVitest = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(env).filter(
      ([name]) => !/^(VITE|TEST$|DEV$|PROD$|MODE$|SSR$|BASE_URL$|NODE_ENV$)/.test(name),
    ),
  );

/** A page of the site in a tab of its own. */
export interface Visit extends AsyncDisposable {
  readonly page: Page;
  /** Errors of the console, failed requests, and requests to other origins. */
  readonly problems: string[];
  /** Bytes of script, compressed as a server would. */
  scriptBytes(): number;
}

/** The built site, and a browser that visits it. */
export interface Site extends AsyncDisposable {
  readonly origin: string;
  visit(path: string, options?: BrowserContextOptions): Promise<Visit>;
}

export async function openSite(): Promise<Site> {
  const server = await serveFolder(builtFolder);
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu'],
  });
  return {
    origin: server.origin,
    visit: (path, options = {}) => visit(browser, addressOf(server.origin, path), options),
    async [Symbol.asyncDispose]() {
      await browser.close();
      server.close();
    },
  };
}

const addressOf = (origin: string, path: string): string =>
  `${origin}/${path === 'index' ? '' : `${path}.html`}`;

/** Resolves when the page's program runs, so that buttons do what they say. */
async function visit(browser: Browser, address: string, options: BrowserContextOptions): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const problems: string[] = [];
  let scriptBytes = 0;
  const { origin } = new URL(address);
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('pageerror', ({ message }) => problems.push(message));
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !/^(data|blob|about):/.test(url)) problems.push(url);
  });
  page.on('response', async (response) => {
    if (response.status() >= 400) problems.push(`${response.status()} ${response.url()}`);
    if (!response.url().endsWith('.js')) return;
    const body = await response.body().catch(() => null); // the page was closed
    if (body) scriptBytes += gzipSync(body).length;
  });
  await page.goto(address, { waitUntil: 'load' });
  await page.waitForFunction(() => '__vue_app__' in document.querySelector('#app')!);
  return {
    page,
    problems,
    scriptBytes: () => scriptBytes,
    [Symbol.asyncDispose]: () => context.close(),
  };
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: { readonly html: string }[];
}

/** What axe calls serious or critical, by all rules or by these. */
export async function seriousViolations(page: Page, rules: readonly string[] = []): Promise<string[]> {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axeSource);
  const violations = await page.evaluate(
    async (values) => {
      const { axe } = window as unknown as {
        axe: { run(options: object): Promise<{ violations: Violation[] }> };
      };
      const runOnly = values.length > 0 ? { runOnly: values } : {};
      return (await axe.run({ resultTypes: ['violations'], ...runOnly })).violations;
    },
    [...rules],
  );
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`);
}

/** A picture in the folder QDYLORA_SCREENSHOTS, where it is set. */
export async function shoot(page: Page, name: string): Promise<void> {
  const folder = process.env.QDYLORA_SCREENSHOTS;
  if (folder)
    await page.screenshot({ path: join(folder, `${name.replaceAll('/', '-')}.png`), fullPage: true });
}
