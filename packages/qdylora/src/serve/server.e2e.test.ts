import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rejection } from '../../test/tiny-run.ts';
import { post, serveRuns, tinyModel, trainRuns, type ServedRun } from '../../test/served-run.ts';

let runs: string[];
let run: ServedRun;

beforeAll(async () => {
  runs = await trainRuns(tinyModel(), ['smol', 'other']);
  run = await serveRuns([runs[0], `second=${runs[1]}`], {
    maxConcurrency: 32,
    maxQueue: 100,
    maxBody: '64KB',
  });
}, 120_000);

afterAll(async () => {
  await run[Symbol.asyncDispose]();
  expect(run.errors).toEqual([]);
});

const complete = (body: object, init?: RequestInit) =>
  post(run.url, '/v1/completions', { model: 'smol', temperature: 0, prompt: 'hello', ...body }, init);

/** Waits until the server has nothing to do. */
async function untilIdle(): Promise<void> {
  for (let i = 0; i < 2000; i++) {
    const { running, waiting } = run.server.usage();
    if (running + waiting === 0) return;
    await sleep(10);
  }
  throw new Error(JSON.stringify(run.server.usage()));
}

describe('answers', () => {
  test('1,000 requests at 32 in flight lose nothing, leak nothing and equal those alone', async () => {
    const models = ['smol', 'smol:base', 'smol:r1', 'smol:r2', 'smol:r3', 'second:r4', 'second:r1'];
    const bodyOf = (i: number) => ({
      model: models[i % models.length],
      prompt: 'abcdefgh'.slice(0, 1 + (i % 5)),
      max_tokens: 1 + (i % 6),
      temperature: i % 3 === 0 ? 1 : 0,
      seed: i % 4,
    });
    const keyOf = (i: number) => JSON.stringify(bodyOf(i));
    const alone = new Map<string, string>();
    /** Bytes after the same requests, one by one: the engine keeps the arrays of the last few passes. */
    const bytesAfterSomeAlone = async (): Promise<number> => {
      for (let i = 0; i < 40; i++)
        alone.set(keyOf(i), (await complete(bodyOf(i))).json.choices[0].text as string);
      await untilIdle();
      await sleep(50);
      return run.liveBytes();
    };
    const before = await bytesAfterSomeAlone();
    let next = 0;
    let answered = 0;
    const client = async (): Promise<void> => {
      while (next < 1000) {
        const i = next++;
        const { status, json } = await complete(bodyOf(i));
        expect(status).toBe(200);
        answered++;
        const known = alone.get(keyOf(i));
        if (known !== undefined) expect(json.choices[0].text, keyOf(i)).toBe(known);
        alone.set(keyOf(i), json.choices[0].text as string);
      }
    };
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    await Promise.all(Array.from({ length: 32 }, client));
    await untilIdle();
    await sleep(50);
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
    expect([answered, run.server.usage().reservedTokens]).toEqual([1000, 0]);
    expect(await bytesAfterSomeAlone()).toBe(before);
  });

  test('an echoed prompt has log-probabilities for its tokens and one more, also a stop token', async () => {
    for (const prompt of ['a', 'b', 'la la', 'hello', '1']) {
      const request = { prompt, max_tokens: 1, logprobs: 1, echo: true, temperature: 2 };
      for (let seed = 0; seed < 20; seed++) {
        const [{ logprobs }] = (await complete({ ...request, seed })).json.choices;
        for (const list of Object.values(logprobs as Record<string, unknown[]>))
          expect(list).toHaveLength(prompt.length + 1);
      }
    }
  });

  test('several answers begin with that of their seed, and share none with the next seed', async () => {
    const textsOf = async (seed: number, n: number): Promise<string[]> => {
      const { choices } = (await complete({ max_tokens: 30, temperature: 2, seed, n })).json;
      return (choices as { text: string }[]).map(({ text }) => text);
    };
    const [alone, three, next] = [await textsOf(7, 1), await textsOf(7, 3), await textsOf(8, 3)];
    expect(three[0]).toBe(alone[0]);
    expect(new Set([...three, ...next]).size).toBe(6);
  });

  test('adapters of one base differ, and share it', async () => {
    const scoresOf = async (model: string): Promise<unknown> =>
      (await complete({ model, max_tokens: 4, logprobs: 1, echo: true })).json.choices[0].logprobs;
    expect(await scoresOf('smol:base')).toEqual(await scoresOf('second:base'));
    expect(await scoresOf('smol:r4')).not.toEqual(await scoresOf('second:r4'));
    expect(await scoresOf('smol:r4')).not.toEqual(await scoresOf('smol:base'));
  });
});

describe('refusals', () => {
  test.each([
    ['an unknown model', { model: 'smal' }, 404, 'model_not_found', 'Did you mean smol?'],
    ['a rank above the largest', { model: 'smol:r5' }, 404, 'model_not_found', 'no rank 5'],
    ['rank 0', { model: 'smol:r0' }, 404, 'model_not_found', 'smol:r0'],
    ['a misspelt field', { max_token: 5 }, 400, 'unknown_field', 'Did you mean max_tokens?'],
    ['an answer that does not fit', { max_tokens: 1000 }, 400, 'context_length_exceeded', '128 tokens'],
    ['a negative length', { max_tokens: -1 }, 400, 'invalid_field', 'max_tokens'],
    ['an id outside the vocabulary', { prompt: [1, 2, 9999] }, 400, 'bad_argument', 'from 0 to 103'],
    ['an empty prompt', { prompt: '' }, 400, 'empty_prompt', 'no tokens'],
    ['too many prompts', { prompt: Array.from({ length: 140 }, () => 'a') }, 400, 'too_many_prompts', '132'],
    ['too many answers', { prompt: Array(10).fill('a'), n: 16 }, 400, 'too_many_answers', '132 answers'],
    ['a bias', { logit_bias: { 5: 1 } }, 400, 'invalid_field', 'logit_bias: only {} is supported.'],
    ['a suffix', { suffix: 'x' }, 400, 'invalid_field', 'suffix: only null is supported.'],
    ['a penalty that is not there', { frequency_penalty: 1 }, 400, 'invalid_field', 'frequency_penalty'],
    ['an empty stop string', { stop: [''] }, 400, 'invalid_field', 'stop'],
    ['a large body', { prompt: 'x'.repeat(70_000) }, 413, 'body_too_large', '64000'],
  ])('%s', async (_, body, status, code, message) => {
    const answer = await complete(body);
    expect([answer.status, answer.json.error.code]).toEqual([status, code]);
    expect(answer.json.error.message).toContain(message);
    expect(Object.keys(answer.json.error)).toEqual(['message', 'type', 'param', 'code']);
  });

  test('bodies that are not JSON, other types and other routes', async () => {
    const statusOf = async (init: RequestInit, path = '/v1/completions') =>
      (await fetch(`${run.url}${path}`, { method: 'POST', ...init })).status;
    const json = { 'content-type': 'application/json' };
    expect(await statusOf({ headers: json, body: '{"a":' })).toBe(400);
    expect(await statusOf({ headers: json, body: '[]' })).toBe(400);
    const latin1 = Buffer.from('{"model":"smol","prompt":"\xe9"}', 'latin1');
    expect(await statusOf({ headers: json, body: latin1 })).toBe(400);
    expect(await statusOf({ headers: { 'content-type': 'text/plain' }, body: '{}' })).toBe(415);
    expect(await statusOf({}, '/v1/embeddings')).toBe(404);
  });

  test('a request that names another host, as a page of the internet would', async () => {
    const head = 'GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n';
    expect(await raw(head)).toMatch(/^HTTP\/1\.1 403 /);
  });

  test('an open host needs a key', async () => {
    const error = await rejection(() => serveRuns([runs[0]], { host: '0.0.0.0' }));
    expect([error.code, error.message]).toEqual(['BAD_CONFIG', expect.stringContaining('--api-key')]);
  });

  test('two adapters of one name, a folder without one, a context that is too long', async () => {
    const codeOf = async (adapters: string[], flags = {}) =>
      (await rejection(() => serveRuns(adapters, flags))).message;
    expect(await codeOf([runs[0], `smol=${runs[1]}`])).toContain('Two adapters are called smol');
    expect(await codeOf(['nowhere'])).toContain('There is no adapter in nowhere');
    expect(await codeOf([runs[0]], { context: 4000 })).toContain('The model reads 128 tokens');
    expect(await codeOf([runs[0]], { kvMemory: '1KB', context: 64 })).toContain('kv_memory');
  });
});

/** Sends bytes and returns all that comes back. */
const raw = (text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(run.url).port), '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (data) => (answer += data.toString()));
    socket.on('close', () => resolve(answer)).on('error', reject);
  });

describe('clients that go away, or are slow', () => {
  const long = { prompt: 'a', max_tokens: 120, temperature: 0, model: 'smol:r1' };

  test('a client that goes away frees its place, with a stream and without', async () => {
    for (const stream of [false, true]) {
      const controller = new AbortController();
      const { newTokens } = run.server.usage();
      const requests = Array.from({ length: 40 }, () =>
        complete({ ...long, stream }, { signal: controller.signal }).catch(() => null),
      );
      while (run.server.usage().running < 30) await sleep(1);
      controller.abort();
      await Promise.all(requests);
      await untilIdle();
      expect(run.server.usage().newTokens - newTokens, `stream: ${stream}`).toBeLessThan(40 * 120);
    }
    expect((await complete({})).status).toBe(200);
  });

  test('a client that does not read its stream keeps no other one waiting', async () => {
    const port = Number(new URL(run.url).port);
    const body = JSON.stringify({ ...long, stream: true });
    const socket = connect(port, '127.0.0.1');
    socket.write(
      'POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n' +
        `Content-Length: ${body.length}\r\n\r\n${body}`,
    );
    socket.pause();
    expect((await complete({})).status).toBe(200);
    await untilIdle();
    socket.destroy();
  });
});

describe('limits of time and of the queue', () => {
  const long = { model: 'smol', prompt: 'a', max_tokens: 120, temperature: 0 };

  test('a request beyond the queue is refused at once', async () => {
    await using full = await serveRuns([runs[0]], { maxConcurrency: 1, maxQueue: 1, draftTokens: 0 });
    const two = post(full.url, '/v1/completions', { ...long, n: 2 }); // one is written, one waits
    while (full.server.usage().waiting === 0) await sleep(1);
    const { status, json } = await post(full.url, '/v1/completions', { ...long, max_tokens: 1 });
    expect([status, json.error.code]).toEqual([503, 'queue_full']);
    expect((await two).status).toBe(200);
  });

  test('a request that takes longer than the timeout is ended', async () => {
    await using late = await serveRuns([runs[0]], { timeout: 0.001 });
    const { status, json } = await post(late.url, '/v1/completions', { ...long, n: 8 });
    expect([status, json.error.code]).toEqual([504, 'timeout']);
  });

  test('a server that closes answers what is short, and refuses what is long', async () => {
    const closing = await serveRuns([runs[0]], { maxConcurrency: 1 }, 60_000);
    const before = closing.liveBytes();
    const answer = post(closing.url, '/v1/completions', { model: 'smol', prompt: 'a', max_tokens: 2 });
    while (closing.server.usage().passes === 0) await sleep(1);
    await closing.server.close();
    expect((await answer).status).toBe(200);
    expect(closing.liveBytes()).toBeLessThan(before); // keys and values
    await expect(fetch(`${closing.url}/health`)).rejects.toThrow();
    closing.opened[Symbol.dispose]();
  });
});

test('a server that closes refuses new requests on connections that are still open', async () => {
  const closing = await serveRuns([runs[0]], { maxConcurrency: 1 }, 60_000);
  const socket = connect(Number(new URL(closing.url).port), '127.0.0.1');
  const answers = text(socket);
  const body = JSON.stringify({ model: 'smol', prompt: 'a', max_tokens: 60 });
  socket.write(
    'POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n' +
      `Content-Length: ${body.length}\r\n\r\n${body}`,
  );
  while (closing.server.usage().passes === 0) await sleep(1);
  const closed = closing.server.close();
  socket.write('GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
  const [, running, late] = (await answers).split('HTTP/1.1 ');
  expect(running).toMatch(/^200 /);
  expect(late).toMatch(/^503 [^]*\r\nconnection: close\r\n[^]*"code":"shutting_down"/i);
  await closed;
  closing.opened[Symbol.dispose]();
});

test('an answer that repeats itself is drafted', async () => {
  const before = run.server.usage().acceptedTokens;
  await complete({ prompt: 'la la la la la la la la', max_tokens: 60, temperature: 0, model: 'smol:r4' });
  expect(run.server.usage().acceptedTokens).toBeGreaterThan(before);
});

test('health, metrics and the page', async () => {
  expect(await (await fetch(`${run.url}/health`)).json()).toEqual({ status: 'ok' });
  const metrics = await (await fetch(`${run.url}/metrics`)).text();
  for (const line of metrics.trim().split('\n'))
    expect(line).toMatch(/^(# (HELP|TYPE) |qdylora_\w+(\{.*\})? [\d.e+-]+$)/);
  expect(metrics).toMatch(/qdylora_answers_total [1-9]/);
  const page = await fetch(`${run.url}/`);
  expect([page.headers.get('content-type'), await page.text()]).toEqual([
    'text/html; charset=utf-8',
    expect.stringContaining('<html lang="en">'),
  ]);
});
