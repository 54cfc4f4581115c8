import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EMBEDDED_BASE, serveRuns, trainRuns, type ServedRun } from '../../test/served-run.ts';

let run: ServedRun;
let openai: OpenAI;

beforeAll(async () => {
  const [smol] = await trainRuns(EMBEDDED_BASE, ['smol']);
  run = await serveRuns([smol], { apiKey: 'secret' });
  openai = new OpenAI({ baseURL: `${run.url}/v1`, apiKey: 'secret', maxRetries: 0 });
}, 120_000);

afterAll(async () => {
  await run[Symbol.asyncDispose]();
  expect(run.errors).toEqual([]);
});

const QUESTION = [{ role: 'user', content: 'say 3' }] as const;

describe('the openai client', () => {
  test('lists the ranks, the base and the recommended rank', async () => {
    const { data } = await openai.models.list();
    expect(data.map(({ id }) => id)).toEqual(['smol', 'smol:base', 'smol:r1', 'smol:r2', 'smol:r4']);
    expect(await openai.models.retrieve('smol:r2')).toMatchObject({
      id: 'smol:r2',
      object: 'model',
      rank: 2,
    });
  });

  test('a stream of a conversation is the answer in one piece', async () => {
    const request = { model: 'smol:r4', messages: [...QUESTION], max_tokens: 12, temperature: 0 };
    const whole = await openai.chat.completions.create(request);
    const [{ message, finish_reason }] = whole.choices;
    let text = '';
    let finish: string | null = null;
    const stream = await openai.chat.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    });
    let usage: unknown = null;
    for await (const { choices, usage: counted } of stream) {
      text += choices[0]?.delta.content ?? '';
      finish = choices[0]?.finish_reason ?? finish;
      usage = counted ?? usage;
    }
    expect([text, finish, usage]).toEqual([message.content, finish_reason, whole.usage]);
    expect(text).not.toBe('');
  });

  test('log-probabilities of a conversation add up to those of its tokens', async () => {
    const { choices, usage } = await openai.chat.completions.create({
      model: 'smol',
      messages: [...QUESTION],
      max_tokens: 5,
      temperature: 0,
      logprobs: true,
      top_logprobs: 2,
    });
    const content = choices[0].logprobs!.content!;
    expect(content).toHaveLength(usage!.completion_tokens);
    for (const { logprob, top_logprobs: top } of content) {
      expect(top).toHaveLength(2);
      expect(top[0].logprob).toBe(logprob); // greedy
      expect(logprob).toBeLessThanOrEqual(0);
    }
  });

  test('the bytes of a token are those of its text, those of all tokens are the answer', async () => {
    const { choices } = await openai.chat.completions.create({
      model: 'smol',
      messages: [...QUESTION],
      max_tokens: 40,
      temperature: 2,
      seed: 3,
      logprobs: true,
      top_logprobs: 20,
    });
    const [{ logprobs, message }] = choices;
    const tokens = logprobs!.content!.flatMap((token) => [token, ...token.top_logprobs]);
    const parts = tokens.filter(({ token }) => token.includes('\ufffd'));
    for (const { bytes } of parts) expect(bytes).not.toHaveLength(0); // also not null
    for (const { token, bytes } of tokens)
      if (!token.includes('\ufffd')) expect(Buffer.from(bytes!).toString()).toBe(token);
    // the text leaves out special tokens; which tokens are drawn depends on the machine
    const shown = logprobs!.content!.filter(({ token }) => !/^<.*>$/.test(token));
    expect(Buffer.from(shown.flatMap(({ bytes }) => bytes!)).toString()).toBe(message.content);
  });

  test('fields that would change nothing are refused, and a wrong stop is told what is right', async () => {
    const refusal = async (fields: object): Promise<unknown> =>
      openai.chat.completions
        .create({ model: 'smol', messages: [...QUESTION], max_tokens: 1, ...fields })
        .then(() => 'answered', String);
    expect(await refusal({ top_logprobs: 2 })).toContain('top_logprobs: logprobs: true is needed');
    expect(await refusal({ parallel_tool_calls: false })).toContain('parallel_tool_calls: only true');
    expect(await refusal({ stop: '' })).toContain('stop: a text of 1 to 1000 characters is needed');
  });

  test('completions take token ids and lists, echo them and score them', async () => {
    const { choices } = await openai.completions.create({
      model: 'smol:r2',
      prompt: [
        [5, 6, 7],
        [5, 6, 7, 8],
      ],
      max_tokens: 1,
      temperature: 0,
      logprobs: 1,
      echo: true,
    });
    expect(choices.map(({ index }) => index)).toEqual([0, 1]);
    const [{ logprobs }, { logprobs: longer }] = choices;
    expect(logprobs!.token_logprobs).toHaveLength(4);
    expect(logprobs!.token_logprobs![0]).toBeNull();
    expect(longer!.token_logprobs!.slice(0, 3)).toEqual(logprobs!.token_logprobs!.slice(0, 3));
  });

  test('the same seed gives the same answers, and n gives several', async () => {
    const request = { model: 'smol', prompt: 'the', max_tokens: 8, temperature: 1.5, n: 3, seed: 7 };
    const [first, second] = [
      await openai.completions.create(request),
      await openai.completions.create(request),
    ];
    const texts = first.choices.map(({ text }) => text);
    expect(second.choices.map(({ text }) => text)).toEqual(texts);
    expect(new Set(texts).size).toBeGreaterThan(1);
  });

  test('a stop string ends a text and is not part of it', async () => {
    const request = { model: 'smol:base', prompt: 'The people', max_tokens: 24, temperature: 0 };
    const { choices } = await openai.completions.create(request);
    const { text } = choices[0];
    const stop = text.slice(6, 9);
    const cut = await openai.completions.create({ ...request, stop });
    expect([cut.choices[0].text, cut.choices[0].finish_reason]).toEqual([
      text.slice(0, text.indexOf(stop)),
      'stop',
    ]);
  });

  test('errors are those that the client knows', async () => {
    const request = { messages: [...QUESTION], max_tokens: 1 };
    await expect(openai.chat.completions.create({ ...request, model: 'smol:r9' })).rejects.toThrow(
      OpenAI.NotFoundError,
    );
    await expect(
      openai.chat.completions.create({ ...request, model: 'smol', max_tokens: 100_000 }),
    ).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded' });
    const stranger = new OpenAI({ baseURL: `${run.url}/v1`, apiKey: 'wrong', maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toThrow(OpenAI.AuthenticationError);
  });
});

describe('the client of @ai-sdk/openai-compatible', () => {
  const prompt = [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'say 3' }] }];

  test('generates and streams the same text', async () => {
    const provider = createOpenAICompatible({
      name: 'qdylora',
      baseURL: `${run.url}/v1`,
      apiKey: 'secret',
      includeUsage: true,
    });
    const model = provider.chatModel('smol:r4');
    const options = { prompt, maxOutputTokens: 12, temperature: 0 };
    const { content, finishReason, usage } = await model.doGenerate(options);
    let text = '';
    let finish: unknown = null;
    const { stream } = await model.doStream(options);
    for await (const part of stream as unknown as AsyncIterable<{
      type: string;
      delta: string;
      usage: unknown;
    }>) {
      if (part.type === 'text-delta') text += part.delta;
      if (part.type === 'finish') finish = part.usage;
    }
    expect(content).toEqual([{ type: 'text', text }]);
    expect(finish).toEqual(usage);
    expect(finishReason).toMatchObject({ unified: expect.stringMatching(/stop|length/) as string });
  });
});
