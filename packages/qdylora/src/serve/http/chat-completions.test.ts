import { describe, expect, it } from 'vitest';
import { scriptedApp } from '../../../test/scripted-app.ts';
import { EMBEDDED_BASE } from '../../../test/served-run.ts';
import { openTokenizer } from '../../recipes/opening/open-base.ts';
import type { ServedModel } from '../served-models.ts';
import { beginChatCompletion } from './chat-completions.ts';

/** A model whose prompts are written without a chat template. */
const plain = {
  adapter: {
    name: 'smol',
    style: {
      usesTemplate: false,
      name: 'as it is',
      encode: () => {
        throw new Error('was answered');
      },
    },
  },
} as unknown as ServedModel;

const begin = (role: string): unknown =>
  beginChatCompletion(
    { models: { find: () => plain } } as never,
    { model: 'smol', messages: [{ role, content: 'hi' }], exactCalls: [null] } as never,
    {} as never,
  );

it.each(['system', 'developer', 'assistant', 'tool'])(
  'a message of the role %s is not answered as that of a user by a model without a chat template',
  (role) => {
    expect(() => begin(role)).toThrow(
      `has no chat template, so a request must have one message, of the role user (got ${role})`,
    );
    expect(() => begin('user')).toThrow('was answered');
  },
);

/** Answers with an empty text; refuses a conversation that says `no`, and fails on one that says `%`. */
const TEMPLATE =
  "{% for m in messages %}{% if m.content == 'no' %}{{ raise_exception('Say yes.') }}{% endif %}" +
  "{% if m.content == '%' %}{{ m.content.none.at }}{% endif %}{{ m.content }}{% endfor %}{{ tools }}";
const tokenizer = (await openTokenizer(EMBEDDED_BASE, { name: null, source: TEMPLATE }))!;
const app = await scriptedApp({
  tokenizer,
  // eslint-disable-next-line @typescript-eslint/require-await
  async *decode() {
    yield { type: 'prompt', scores: null, nextScores: null };
    yield { type: 'end', reason: 'stop', stopToken: null };
  },
});
const ask = (fields: object, path = '/v1/chat/completions') =>
  app.post(path, JSON.stringify({ model: 'smol', ...fields }));
const hi = { messages: [{ role: 'user', content: 'hi' }] };
const text = (content: string) => ({ messages: [{ role: 'user', content }] });
const toolsOf = (...functions: readonly object[]) => ({
  tools: functions.map((each) => ({ type: 'function', function: each })),
});
const call = { function: { name: 'f', arguments: '{}' } };

describe('a refused request names its field, and speaks of nothing but the request:', () => {
  it.each<[object, string, string | RegExp]>([
    [text('no'), 'messages', 'The chat template refuses this conversation: Say yes. Correct the messages.'],
    [text('%'), 'messages', /^The chat template fails on this conversation.* Correct the messages\.$/],
    [text('word '.repeat(1200)), 'messages', /^This model's context is 1000 tokens/],
    [{ ...hi, max_tokens: 1000 }, 'max_tokens', /^This model's context is 1000 tokens/],
    [{ ...hi, max_completion_tokens: 1000 }, 'max_completion_tokens', /^This model's context is 1000/],
    [{ messages: [{ role: 'user' }] }, 'messages.0.content', /a text or a list of text parts is needed/],
    [{ messages: [{ role: 'tool', content: null }] }, 'messages.0.content', /a text or a list/],
    [{ messages: [{ role: 'assistant', content: null }] }, 'messages.0.content', /a text or a list/],
    [text('a\ud800'), 'messages.0.content', 'messages.0.content: the text has half of a surrogate pair.'],
    [{ ...hi, stop: ['\udc00'] }, 'stop.0', 'stop.0: the text has half of a surrogate pair.'],
    [
      { ...hi, tools: [{ type: 'function', function: { name: 'f', strict: true } }] },
      'tools.0.function.strict',
      'tools.0.function.strict: only false is supported.',
    ],
    ...['', 'a.b', 'é', 'a'.repeat(65)].map((name): [object, string, string] => [
      { ...hi, ...toolsOf({ name }) },
      'tools.0.function.name',
      'tools.0.function.name: a name of 1 to 64 letters, digits, _ and - is needed.',
    ]),
    ...['{}', [], 3].map((parameters): [object, string, string] => [
      { ...hi, ...toolsOf({ name: 'f', parameters }) },
      'tools.0.function.parameters',
      'tools.0.function.parameters: a JSON schema is needed, which is an object.',
    ]),
    [
      { ...hi, ...toolsOf({ name: 'f' }, { name: 'g' }, { name: 'f', parameters: {} }) },
      'tools.2.function.name',
      'tools.2.function.name: tools.0 has the name f already.',
    ],
    [
      { ...hi, stream_options: { include_usage: true } },
      'stream_options',
      'stream_options: stream: true is needed beside it.',
    ],
    [
      { ...hi, stream: true, stream_options: { continuous_usage_stats: true } },
      'stream_options.continuous_usage_stats',
      'stream_options.continuous_usage_stats: only false is supported.',
    ],
    [{ ...hi, stream: true, stream_options: { usage: true } }, 'stream_options', /"usage"/],
  ])('%j', async (fields, param, message) => {
    const { status, json } = await ask(fields);
    expect([status, json.error.param]).toEqual([400, param]);
    expect(json.error.message).toMatch(message);
  });

  it('completions too', async () => {
    const errorOf = async (fields: object): Promise<unknown> =>
      (await ask(fields, '/v1/completions')).json.error.param;
    expect(await errorOf({ prompt: 'word '.repeat(1200) })).toBe('prompt');
    expect(await errorOf({ prompt: 'a\ud800' })).toBe('prompt');
    expect(await errorOf({ prompt: 'a', stream_options: {} })).toBe('stream_options');
  });
});

it.each([
  { messages: [{ role: 'assistant', content: null, tool_calls: [call] }] },
  { ...hi, ...toolsOf({ name: 'f', strict: false }, { name: 'a-B_9', parameters: null }) },
  { messages: [...hi.messages, { role: 'assistant', content: 'a', tool_calls: [] }, ...hi.messages] },
  text('🙂'),
])('%j is answered', async (fields) => {
  expect((await ask(fields)).status).toBe(200);
});
