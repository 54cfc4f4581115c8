import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { serveRuns, tinyModel, trainRuns, type ServedRun } from '../../test/served-run.ts';

let run: ServedRun;

beforeAll(async () => {
  run = await serveRuns(await trainRuns(tinyModel(), ['smol'], 1));
}, 120_000);

afterAll(async () => {
  await run[Symbol.asyncDispose]();
  expect(run.errors).toEqual([]);
});

const metrics = async (): Promise<string> => (await fetch(`${run.url}/metrics`)).text();

/** Sends raw HTTP, and closes the connection when `isOver` holds. */
async function send(request: string, isOver: () => boolean): Promise<void> {
  const socket = connect(Number(new URL(run.url).port), '127.0.0.1');
  socket.write(request);
  socket.resume();
  await vi.waitUntil(isOver, { timeout: 60_000, interval: 1 });
  socket.destroy();
}

const posted = (body: string, length = body.length): string =>
  'POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n' +
  `Content-Length: ${length}\r\n\r\n${body}`;

const PATIENCE = { timeout: 60_000 };
const LONG = { model: 'smol', prompt: 'a', max_tokens: 120, temperature: 0 };

test('paths that strangers ask for are no labels', async () => {
  const path = '/v1/x%22%7D%201%0Aqdylora_answers_total%201';
  let isAnswered = false;
  const socket = connect(Number(new URL(run.url).port), '127.0.0.1');
  socket.on('data', () => (isAnswered = true));
  socket.write(`GET ${path} HTTP/1.1\r\nHost: other.example\r\n\r\n`);
  await vi.waitUntil(() => isAnswered, PATIENCE);
  socket.destroy();
  const lines = (await metrics()).split('\n').filter((line) => line.includes('status="403"'));
  expect(lines).toEqual(['qdylora_http_requests_total{route="other",status="403"} 1']);
});

test('a client that leaves before its answer, or in the middle of its body, has status 499', async () => {
  // So many answers that they aren't all written before the server has seen that the client left.
  const prompt = Array.from({ length: 64 }, () => 'a');
  await send(posted(JSON.stringify({ ...LONG, prompt })), () => run.server.usage().running > 0);
  const begin = performance.now();
  await send(posted('{"model":', 200), () => performance.now() - begin > 100);
  await vi.waitFor(
    async () => expect(await metrics()).toContain('requests_total{route="/v1/completions",status="499"} 2'),
    PATIENCE,
  );
});

test('a prompt counts once, as in the usage of its answers', async () => {
  const promptTokens = async (): Promise<number> =>
    Number(/qdylora_prompt_tokens_total (\d+)/.exec(await metrics())![1]);
  const before = await promptTokens();
  const response = await fetch(`${run.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...LONG, prompt: ['abc', 'de'], n: 3, max_tokens: 1 }),
  });
  const { usage } = (await response.json()) as { usage: { prompt_tokens: number } };
  expect(await promptTokens()).toBe(before + usage.prompt_tokens);
});

test('the seconds of a streamed answer count to its last chunk', async () => {
  const seconds = async (): Promise<number> =>
    Number(/request_seconds_total\{route="\/v1\/completions"\} (.*)/.exec(await metrics())?.[1] ?? 0);
  const before = await seconds();
  const response = await fetch(`${run.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...LONG, stream: true }),
  });
  const begin = performance.now();
  await response.text();
  const streamSeconds = (performance.now() - begin) / 1000;
  await vi.waitFor(
    async () => expect((await seconds()) - before).toBeGreaterThan(streamSeconds / 2),
    PATIENCE,
  );
});
