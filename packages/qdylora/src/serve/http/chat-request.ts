import { parseExactJson, type ChatMessage } from '@qdylora/data';
import * as z from 'zod';
import { callArguments } from './exact-json.ts';
import type { JsonBody } from './guards.ts';
import { checkBody, IDLE_FIELDS, onlyFalse, onlyInStream, SAMPLING_FIELDS } from './request-fields.ts';

const part = z.looseObject({
  type: z.literal('text', { error: 'only parts of type text are supported' }),
  text: z.string(),
});

/** A call of an earlier answer. Templates write its arguments themselves, so they get the object. */
const toolCall = z.looseObject({
  function: z.looseObject({
    name: z.string(),
    arguments: z.string().transform((text, context) => {
      const fields = callArguments(text);
      if (fields) return fields;
      context.addIssue('the arguments of a call are an object, as JSON text');
      return z.NEVER;
    }),
  }),
});

const messageFields = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: z
    .union([z.string(), z.array(part)], { error: 'a text or a list of text parts is needed' })
    .nullish()
    .transform((content) =>
      Array.isArray(content) ? content.map(({ text }) => text).join('') : (content ?? null),
    ),
  tool_calls: z
    .array(toolCall)
    .nullish()
    .transform((calls) => (calls?.length ? calls : null)),
});

/** Only an answer that calls tools may have no text. */
const message = messageFields.refine(
  ({ role, content, tool_calls: calls }) => content !== null || (role === 'assistant' && calls !== null),
  { path: ['content'], error: 'a text or a list of text parts is needed' },
);

/** As OpenAI's. */
const toolName = z
  .string()
  .regex(/^[\w-]{1,64}$/, { error: 'a name of 1 to 64 letters, digits, _ and - is needed' });

const tool = z.looseObject({
  type: z.literal('function'),
  function: z.looseObject({
    name: toolName,
    parameters: z.looseObject({}, { error: 'a JSON schema is needed, which is an object' }).nullish(),
    strict: onlyFalse,
  }),
});

/** A call names its tool, so names must differ. */
const tools = z.array(tool).superRefine((list, context) => {
  const names = list.map((each) => each.function.name);
  const repeated = names.findIndex((name, i) => names.indexOf(name) < i);
  if (repeated < 0) return;
  const first = names.indexOf(names[repeated]);
  const message = `tools.${first} has the name ${names[repeated]} already`;
  context.addIssue({ code: 'custom', path: [repeated, 'function', 'name'], message });
});

const chatFields = z.strictObject({
  ...SAMPLING_FIELDS,
  ...IDLE_FIELDS,
  messages: z.array(message).min(1),
  max_tokens: z.number().int().gte(1).nullish(),
  max_completion_tokens: z.number().int().gte(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.number().int().gte(0).lte(20).nullish(),
  tools: tools.nullish(),
  tool_choice: z.enum(['auto', 'none'], { error: 'only auto and none are supported' }).nullish(),
  parallel_tool_calls: z.literal(true, { error: 'only true is supported' }).nullish(),
  response_format: z.looseObject({ type: z.literal('text', { error: 'only text is supported' }) }).nullish(),
});

const chatRequest = onlyInStream(chatFields).refine(
  (request) => request.logprobs === true || !request.top_logprobs,
  {
    path: ['top_logprobs'],
    error: 'logprobs: true is needed beside it',
  },
);

/** An object of exact JSON. */
type Fields = ReadonlyMap<string, unknown>;

/** The body of `/v1/chat/completions`. */
export interface ChatRequest extends z.output<typeof chatRequest> {
  /** `tools` with the order of their keys and all digits of their whole numbers, which templates print. */
  readonly exactTools: readonly unknown[];
  /** `tool_calls` of each message in the same way; null where a message has none. */
  readonly exactCalls: readonly (readonly Fields[] | null)[];
}

/** @throws ApiError 400 that names the first field that is wrong */
export function readChatRequest({ value, text }: JsonBody): ChatRequest {
  const request = checkBody(chatRequest, value);
  const isExact = request.tools || request.messages.some(({ tool_calls: calls }) => calls);
  const exact = isExact ? (parseExactJson(text) as Fields) : null;
  const exactMessages = exact?.get('messages') as readonly Fields[] | undefined;
  return {
    ...request,
    exactTools: (exact?.get('tools') ?? []) as readonly unknown[],
    exactCalls: request.messages.map(
      ({ tool_calls: calls }, i) => calls && withArguments(exactMessages![i], calls),
    ),
  };
}

/** The calls of a message, with their arguments as objects. */
function withArguments(message: Fields, calls: readonly z.output<typeof toolCall>[]): readonly Fields[] {
  const exactCalls = message.get('tool_calls') as readonly Fields[];
  return exactCalls.map((call, i) => {
    const fields = new Map(call.get('function') as Fields);
    return new Map(call).set('function', fields.set('arguments', calls[i].function.arguments));
  });
}

/** Messages as templates know them: `developer` is the newer name of `system`. */
export const chatMessages = ({ messages, exactCalls }: ChatRequest): ChatMessage[] =>
  messages.map((each, i) => ({
    ...each,
    role: each.role === 'developer' ? 'system' : each.role,
    tool_calls: exactCalls[i],
  }));
