import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serveRuns, tinyModel, trainRuns, type ServedRun } from '../../test/served-run.ts';

let run: ServedRun;

beforeAll(async () => {
  run = await serveRuns(await trainRuns(tinyModel(), ['smol'], 1), { maxConcurrency: 4 });
}, 120_000);

afterAll(async () => {
  await run[Symbol.asyncDispose]();
});

const arbitraryValue = fc.oneof(
  fc.constantFrom(null, true, 0, 1, 2, -1, 1e308, 0.5, '', 'a', [], {}, [[]], [['a']], 'smol'),
  fc.jsonValue({ maxDepth: 2 }),
);
const NAMES = [
  'model', 'prompt', 'messages', 'max_tokens', 'temperature', 'top_p', 'top_k', 'seed', 'stop', 'n', 'stream',
  'logprobs', 'top_logprobs', 'echo', 'tools', 'tool_choice', 'stream_options', 'repetition_penalty',
  'response_format', 'logit_bias', '__proto__', 'constructor',
]; // prettier-ignore
const arbitraryBody = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc
    .tuple(
      fc.constantFrom<object>(
        { model: 'smol', prompt: 'ab', max_tokens: 2 },
        { model: 'smol:r1', messages: [{ role: 'user', content: 'hi' }], max_tokens: 2 },
      ),
      fc.dictionary(fc.constantFrom(...NAMES), arbitraryValue, { maxKeys: 3 }),
    )
    .map(([body, changes]) => ({ ...body, ...changes })),
);

test('any body gets an answer or an error object, and never a stack trace', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('/v1/completions', '/v1/chat/completions'),
      arbitraryBody,
      async (path, body) => {
        const response = await fetch(`${run.url}${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        });
        const text = await response.text();
        expect([200, 400, 404], text).toContain(response.status);
        expect(text).not.toMatch(/ at .*\.ts|node:|\/work\/|\/home\//);
        if (response.status !== 200)
          expect(JSON.parse(text)).toEqual({
            error: {
              message: expect.any(String) as string,
              type: 'invalid_request_error',
              param: expect.toSatisfy((param) => param === null || typeof param === 'string') as string,
              code: expect.any(String) as string,
            },
          });
      },
    ),
    { numRuns: 300 },
  );
  expect(run.errors).toEqual([]);
  expect((await fetch(`${run.url}/health`)).status).toBe(200);
});
