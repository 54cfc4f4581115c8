import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** The browser of this machine; null if it has none. */
export const chromiumPath = (): string | null =>
  (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
    .find((path) => existsSync(path)) ?? null;

/** A page in a browser without a window. */
export interface BrowserPage {
  /** The value of an expression, awaited. */
  evaluate<T>(expression: string): Promise<T>;
  /** A picture as PNG. */
  screenshot(): Promise<Buffer>;
  /** What the page wrote to its console as an error, and exceptions that nobody caught. */
  readonly problems: readonly string[];
  close(): Promise<void>;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, any>;
  readonly result?: Record<string, any>;
  readonly error?: { readonly message: string };
}

type Call = (method: string, params?: object, sessionId?: string) => Promise<Record<string, any>>;

/** A browser in a fresh profile, spoken to over pipes: JSON with a NUL after each message. */
function startBrowser(chromium: string, onEvent: (message: Message) => void) {
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--remote-debugging-pipe'];
  const place = ['--window-size=1100,900', `--user-data-dir=${temporaryFolder()}`];
  const child = spawn(chromium, [...flags, ...place], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  const input = child.stdio[3] as unknown as NodeJS.WritableStream;
  const output = child.stdio[4] as unknown as NodeJS.ReadableStream;
  const waiting = new Map<number, (message: Message) => void>();
  let rest = '';
  output.on('data', (data: Buffer) => {
    const messages = (rest + data.toString()).split('\0');
    rest = messages.pop()!;
    for (const text of messages) {
      const message = JSON.parse(text) as Message;
      if (message.id === undefined) onEvent(message);
      else waiting.get(message.id)?.(message);
    }
  });
  let lastId = 0;
  const call: Call = (method, params = {}, sessionId) =>
    new Promise((resolve, reject) => {
      const id = ++lastId;
      waiting.set(id, ({ result, error }) => (error ? reject(new Error(error.message)) : resolve(result!)));
      input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  return { child, call };
}

/** Opens a page with the DevTools protocol. */
export async function openPage(chromium: string, url: string): Promise<BrowserPage> {
  const problems: string[] = [];
  const { child, call } = startBrowser(chromium, ({ method, params = {} }) => {
    if (method === 'Runtime.exceptionThrown')
      problems.push(params.exceptionDetails.exception?.description as string);
    if (method === 'Log.entryAdded' && params.entry.level === 'error')
      problems.push(params.entry.text as string);
  });
  const { targetId } = await call('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true });
  const inPage = (method: string, params: object = {}) => call(method, params, sessionId as string);
  for (const domain of ['Runtime', 'Log', 'Page']) await inPage(`${domain}.enable`);
  await inPage('Page.navigate', { url });
  return {
    problems,
    async evaluate(expression) {
      const options = { expression, awaitPromise: true, returnByValue: true };
      const { result, exceptionDetails } = await inPage('Runtime.evaluate', options);
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description as string);
      return result.value;
    },
    screenshot: async () => Buffer.from((await inPage('Page.captureScreenshot')).data as string, 'base64'),
    async close() {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill();
      await gone;
    },
  };
}
