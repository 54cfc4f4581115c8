import OpenAI from 'openai';
import { expect, test } from 'vitest';
import type { Tokenizer } from '@qdylora/data';
import type { DecodeEngine, DecodeEvent } from '@qdylora/models';
import { EMBEDDED_BASE } from '../../../test/served-run.ts';
import { openTokenizer } from '../../recipes/opening/open-base.ts';
import { promptStyle } from '../../recipes/opening/prompt-style.ts';
import { createApp } from '../http/create-app.ts';
import { createMetrics } from '../http/metrics.ts';
import { servedModels } from '../served-models.ts';

const TOOLS = '{% for tool in tools or [] %}{{ tool.function.name }};{% endfor %}';
const MESSAGES =
  "{% for m in messages %}{{ m.role }}:{{ m.content or '' }}" +
  '{% for call in m.tool_calls or [] %}({{ call.function.arguments.city }}){% endfor %};{% endfor %}';
const TEMPLATES = {
  tagged: `${TOOLS}{# <tool_call> #}${MESSAGES}`,
  list: `${TOOLS}{# [TOOL_CALLS] #}${MESSAGES}`,
  object: `${TOOLS}{# <|python_tag|> #}${MESSAGES}`,
  none: `${TOOLS}${MESSAGES}`,
};

/** Writes `answer` token by token, and keeps the prompts. */
function scriptedEngine(tokenizer: Tokenizer, answer: string, prompts: string[]): DecodeEngine {
  return {
    // eslint-disable-next-line @typescript-eslint/require-await
    async *decode(_, prompt): AsyncGenerator<DecodeEvent> {
      prompts.push(tokenizer.decode(prompt));
      yield { type: 'prompt', scores: null, nextScores: null };
      for (const id of tokenizer.encode(answer)) yield { type: 'token', id, logProbability: -1, top: [] };
      yield { type: 'end', reason: 'stop', stopToken: null };
    },
    usage: () => ({
      running: 0,
      waiting: 0,
      reservedTokens: 0,
      capacityTokens: 1,
      promptTokens: 0,
      sharedPromptTokens: 0,
      newTokens: 0,
      draftedTokens: 0,
      acceptedTokens: 0,
      passes: 0,
    }),
    close: () => Promise.resolve(),
  };
}

/** The openai client of a server whose model has this template and gives this answer. */
async function clientOf(template: string, answer: string) {
  const tokenizer = (await openTokenizer(EMBEDDED_BASE, { name: null, source: template }))!;
  const view = { model: null as never, active: null };
  const prompts: string[] = [];
  const app = await createApp(
    {
      models: servedModels(
        [
          {
            name: 'smol',
            adapted: { base: () => view, atRank: () => view } as never,
            ranks: [1],
            isNested: true,
            recommendedRank: 1,
            tokenizer,
            style: promptStyle(tokenizer, null, false),
            stopIds: [],
            chatStopIds: [],
          },
        ],
        4,
      ),
      engine: scriptedEngine(tokenizer, answer, prompts),
      metrics: createMetrics(),
      contextTokens: 1000,
      mostRequests: 4,
      timeoutMs: 10_000,
      clock: () => 0,
      newId: () => 'a1b2c3d4e5f6',
      newSeed: () => 1,
      closing: new AbortController().signal,
      onError: (error) => {
        throw error;
      },
    },
    {
      apiKey: 'secret',
      hosts: [],
      mostBodyBytes: 100_000,
      page: new Map(),
      memoryUsage: () => ({ liveBytes: 0, reservedBytes: 0 }),
    },
  );
  const fetch = (url: string | URL | Request, init?: RequestInit) =>
    Promise.resolve(app.request(url as string, init));
  return {
    prompts,
    openai: new OpenAI({ baseURL: 'http://here/v1', apiKey: 'secret', maxRetries: 0, fetch }),
  };
}

const ASK = {
  model: 'smol',
  messages: [{ role: 'user' as const, content: 'Weather?' }],
  tools: [
    {
      type: 'function' as const,
      function: { name: 'weather', parameters: { type: 'object', properties: {} } },
    },
  ],
  max_tokens: 200,
};
const CALL = '{"name": "weather", "arguments": {"city": "Rome"}}';
const OTHER = '{"name": "weather", "arguments": {"city": "Oslo"}}';

test.each([
  [
    'tagged',
    `Let me look.\n<tool_call>\n${CALL}\n</tool_call>\n<tool_call>${OTHER}</tool_call>`,
    'Let me look.',
  ],
  ['list', `[${CALL}, ${OTHER}]`, null],
  ['object', `${CALL}; ${OTHER}`, null],
] as const)(
  'the openai client gets the calls of an answer in the format "%s", in a stream too',
  async (format, answer, text) => {
    const { openai } = await clientOf(TEMPLATES[format], answer);
    const { choices, usage } = await openai.chat.completions.create(ASK);
    const callOf = (city: string) => ({
      id: 'a1b2c3d4e',
      type: 'function',
      function: { name: 'weather', arguments: `{"city":"${city}"}` },
    });
    expect(choices[0].message).toEqual({
      role: 'assistant',
      content: text,
      refusal: null,
      tool_calls: [callOf('Rome'), callOf('Oslo')],
    });
    expect(choices[0].finish_reason).toBe('tool_calls');

    const stream = openai.chat.completions.stream({ ...ASK, stream_options: { include_usage: true } });
    const [choice] = (await stream.finalChatCompletion()).choices;
    expect([choice.message.content || null, choice.finish_reason]).toEqual([text, 'tool_calls']);
    expect(choice.message.tool_calls).toMatchObject([callOf('Rome'), callOf('Oslo')]);
    expect((await stream.totalUsage()).completion_tokens).toBe(usage!.completion_tokens);
  },
);

test('an answer without a call, a format in the template, or a tool to be called, is text', async () => {
  const answer = `Wait <tool_call>${CALL}</tool_call>`;
  for (const [template, request] of [
    [TEMPLATES.none, ASK],
    [TEMPLATES.tagged, { ...ASK, tool_choice: 'none' as const }],
    [TEMPLATES.tagged, { ...ASK, tools: [{ type: 'function' as const, function: { name: 'other' } }] }],
  ] as const) {
    const { openai } = await clientOf(template, answer);
    const { choices } = await openai.chat.completions.create({ ...request, tools: [...request.tools] });
    expect([choices[0].message.content, choices[0].finish_reason]).toEqual([answer, 'stop']);
    expect(choices[0].message.tool_calls).toBeUndefined();
  }
});

test('log-probabilities cover all tokens of an answer with calls', async () => {
  const { openai } = await clientOf(TEMPLATES.tagged, `Now<tool_call>${CALL}</tool_call>`);
  const { choices, usage } = await openai.chat.completions.create({ ...ASK, logprobs: true });
  expect(choices[0].logprobs!.content).toHaveLength(usage!.completion_tokens);
});

test('an earlier call reaches the template with its arguments as an object, and must be JSON', async () => {
  const { openai, prompts } = await clientOf(TEMPLATES.tagged, 'Sunny.');
  const conversation = (text: string) => ({
    ...ASK,
    messages: [
      ...ASK.messages,
      {
        role: 'assistant' as const,
        content: null,
        tool_calls: [
          { id: 'a1b2c3d4e', type: 'function' as const, function: { name: 'weather', arguments: text } },
        ],
      },
      { role: 'tool' as const, tool_call_id: 'a1b2c3d4e', content: '25' },
    ],
  });
  await openai.chat.completions.create(conversation('{"city": "Rome"}'));
  expect(prompts[0]).toBe('weather;user:Weather?;assistant:(Rome);tool:25;');
  await expect(openai.chat.completions.create(conversation('{"city"'))).rejects.toMatchObject({
    status: 400,
    code: 'invalid_field',
    message: expect.stringContaining('messages.1.tool_calls.0.function.arguments') as string,
  });
});
