import { openCheckpoint } from '@qdylora/checkpoint';
import { loadTokenizer } from '@qdylora/data';
import { expect, test } from 'vitest';
import { scriptedApp } from '../../../test/scripted-app.ts';
import { EMBEDDED_BASE } from '../../../test/served-run.ts';
import { openTokenizer } from '../../recipes/opening/open-base.ts';

const TOOLS = '{% for tool in tools or [] %}{{ tool.function.name }};{% endfor %}';
const MESSAGES =
  "{% for m in messages %}{{ m.role }}:{{ m.content or '' }}" +
  '{% for call in m.tool_calls or [] %}({{ call.function.arguments.city }}){% endfor %};{% endfor %}';
const TEMPLATES = {
  tagged: `${TOOLS}{# <tool_call> #}${MESSAGES}`,
  list: `${TOOLS}{# [TOOL_CALLS] #}${MESSAGES}`,
  object: `${TOOLS}{# <|python_tag|> #}${MESSAGES}`,
  named: `${TOOLS}{# [TOOL_CALLS] [ARGS] #}${MESSAGES}`,
  none: `${TOOLS}${MESSAGES}`,
};

/** The tokenizer of the embedded base with this template, and with these special tokens too. */
async function tokenizerWith(template: string, specialTokens: readonly string[]) {
  if (specialTokens.length === 0)
    return (await openTokenizer(EMBEDDED_BASE, { name: null, source: template }))!;
  using checkpoint = await openCheckpoint(EMBEDDED_BASE);
  const json = checkpoint.tokenizerFiles.tokenizerJson as { added_tokens: { id: number }[] };
  const [first] = json.added_tokens;
  const firstId = loadTokenizer(checkpoint.tokenizerFiles as never).vocabularySize;
  const added = specialTokens.map((content, i) => ({ ...first, special: true, content, id: firstId + i }));
  const tokenizerJson = { ...json, added_tokens: [...json.added_tokens, ...added] };
  return loadTokenizer({ tokenizerJson, tokenizerConfig: null, chatTemplate: template });
}

/** A server whose model has this template and gives this answer, and the prompts that it got. */
async function clientOf(template: string, answer: string, specialTokens: readonly string[] = []) {
  const tokenizer = await tokenizerWith(template, specialTokens);
  const prompts: string[] = [];
  const app = await scriptedApp({
    tokenizer,
    // eslint-disable-next-line @typescript-eslint/require-await
    async *decode(_, prompt) {
      prompts.push(tokenizer.decode(prompt));
      yield { type: 'prompt', scores: null, nextScores: null };
      for (const id of tokenizer.encode(answer)) yield { type: 'token', id, logProbability: -1, top: [] };
      yield { type: 'end', reason: 'stop', stopToken: null };
    },
  });
  return { ...app, prompts };
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
      function: { name: 'weather', arguments: `{"city": "${city}"}` },
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

const ROME = '{"city": "Rome"}';

test.each<[keyof typeof TEMPLATES, readonly string[], string, string | null]>([
  ['tagged', ['<tool_call>', '</tool_call>', '<end>'], `Look.<tool_call>${CALL}</tool_call><end>`, 'Look.'],
  ['list', ['[TOOL_CALLS]', '<end>'], `Look.<end>[TOOL_CALLS] [${CALL}]`, 'Look.'],
  ['named', ['[TOOL_CALLS]', '[ARGS]'], `[TOOL_CALLS]weather[ARGS]${ROME}`, null],
  ['named', ['[TOOL_CALLS]', '[CALL_ID]', '[ARGS]'], `[TOOL_CALLS]weather[CALL_ID]a1[ARGS]${ROME}`, null],
  ['object', ['<|python_tag|>'], `<|python_tag|>${CALL}`, null],
])(
  'calls in the format "%s" are found where its marks %j are special tokens',
  async (format, specialTokens, answer, content) => {
    const { openai } = await clientOf(TEMPLATES[format], answer, specialTokens);
    const [{ message }] = (await openai.chat.completions.create(ASK)).choices;
    expect(message.content).toBe(content);
    expect(message.tool_calls).toMatchObject([{ function: { name: 'weather', arguments: ROME } }]);
    // without tools no special token is written
    const plain = await openai.chat.completions.create({ ...ASK, tools: undefined });
    const text = specialTokens.reduce((rest, token) => rest.replaceAll(token, ''), answer);
    expect(plain.choices[0].message.content).toBe(text);
  },
);

test('a stop text that closes a call leaves it a call', async () => {
  const { openai } = await clientOf(TEMPLATES.tagged, `<tool_call>${CALL}</tool_call>`);
  const { choices } = await openai.chat.completions.create({ ...ASK, stop: '</tool_call>' });
  expect([choices[0].finish_reason, choices[0].message.tool_calls?.length]).toEqual(['tool_calls', 1]);
});

test('tools are refused where the template only mentions them', async () => {
  const template = "{% for m in messages %}{{ m['tools'] }}{{ m.tools }}{{ m.content }}{% endfor %}";
  const { openai } = await clientOf(template, 'Sunny.');
  await expect(openai.chat.completions.create(ASK)).rejects.toMatchObject({ code: 'tools_not_supported' });
});

test('log-probabilities cover all tokens of an answer with calls', async () => {
  const { openai } = await clientOf(TEMPLATES.tagged, `Now<tool_call>${CALL}</tool_call>`);
  const { choices, usage } = await openai.chat.completions.create({ ...ASK, logprobs: true });
  expect(choices[0].logprobs!.content).toHaveLength(usage!.completion_tokens);
});

/** A conversation with an earlier call. */
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

test('an earlier call reaches the template with its arguments as an object', async () => {
  const { openai, prompts } = await clientOf(TEMPLATES.tagged, 'Sunny.');
  await openai.chat.completions.create(conversation('{"city": "Rome"}'));
  await openai.chat.completions.create(conversation('"{\\"city\\": \\"Rome\\"}"'));
  // as clients send a call without arguments
  for (const text of [' ', 'null']) await openai.chat.completions.create(conversation(text));
  const after = (city: string): string => `weather;user:Weather?;assistant:(${city});tool:25;`;
  expect(prompts).toEqual(['Rome', 'Rome', '', ''].map(after));
});

const deep = (levels: number): string => '{"a":'.repeat(levels) + '1' + '}'.repeat(levels);

test.each([
  ['cut', '{"city"'],
  ['a list', '[1]'],
  ['a number', '3'],
  ['of 65 levels', deep(65)],
  ['of 5,000 levels', deep(5000)],
])('an earlier call whose arguments are %s is refused', async (_, text) => {
  const { openai } = await clientOf(TEMPLATES.tagged, 'Sunny.');
  await expect(openai.chat.completions.create(conversation(text))).rejects.toMatchObject({
    status: 400,
    code: 'invalid_field',
    message: expect.stringContaining('messages.1.tool_calls.0.function.arguments') as string,
  });
});

/** JSON that JavaScript's objects and numbers would change. */
const EXACT = '{"id": 1234567890123456789, "size": 1.0, "10": 1, "2": 1e2}';
const PRINTED = '{"id": 1234567890123456789, "size": 1.0, "10": 1, "2": 100.0}';

test('arguments and tools keep the digits of their numbers and the order of their keys', async () => {
  const template =
    '{{ tools | tojson }}{# <tool_call> #}{% for m in messages %}{{ m.content }}' +
    '{% for call in m.tool_calls or [] %}{{ call.function.arguments | tojson }}{% endfor %}{% endfor %}';
  const answer = `<tool_call>{"name": "weather", "arguments": ${EXACT}}</tool_call>`;
  const { post, prompts } = await clientOf(template, answer);
  const call = { function: { name: 'weather', arguments: EXACT } };
  const messages = JSON.stringify([{ role: 'assistant', content: 'x', tool_calls: [call] }]);
  const tools = `[{"type": "function", "function": {"name": "weather", "parameters": ${EXACT}}}]`;
  const { json } = await post(
    '/v1/chat/completions',
    `{"model": "smol", "messages": ${messages}, "tools": ${tools}}`,
  );
  expect(json.choices[0].message.tool_calls[0].function.arguments).toBe(EXACT);
  expect(prompts).toEqual([`${tools.replace(EXACT, PRINTED)}x${PRINTED}`]);
});

test('the keys of an earlier call reach the template in the order in which they were sent', async () => {
  const calls =
    '[{"function": {"arguments": {"b": 1}, "x": 1.0, "name": "weather"}, "id": "a", "type": null}]';
  const { post, prompts } = await clientOf('{{ messages[0].tool_calls | tojson }}', 'Sunny.');
  const body = calls.replace('{"b": 1}', JSON.stringify('{"b": 1}'));
  await post(
    '/v1/chat/completions',
    `{"model": "smol", "messages": [{"tool_calls": ${body}, "role": "assistant"}]}`,
  );
  expect(prompts).toEqual([calls]);
});

test.each([
  ['a body', `{"model": "smol", "tools": ${deep(9000)}}`],
  ['a value that its key replaces', `{"model": "smol", "user": ${deep(9000)}, "user": "a", "tools": []}`],
])('%s that is nested too deeply is refused', async (_what, body) => {
  const { post } = await clientOf(TEMPLATES.tagged, 'Sunny.');
  const { status, json } = await post('/v1/chat/completions', body);
  expect([status, json.error.code]).toEqual([400, 'nested_too_deep']);
});
