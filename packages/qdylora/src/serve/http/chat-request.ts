import type { ChatMessage } from '@qdylora/data';
import * as z from 'zod';
import { exactObject } from './exact-json.ts';
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
      const fields = exactObject(text);
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
  tool_calls: z.array(toolCall).nullish(),
});

/** Only an answer that calls tools may have no text. */
const message = messageFields.refine(
  ({ role, content, tool_calls: calls }) => content !== null || (role === 'assistant' && calls?.length),
  { path: ['content'], error: 'a text or a list of text parts is needed' },
);

const tool = z.looseObject({
  type: z.literal('function'),
  function: z.looseObject({ name: z.string(), strict: onlyFalse }),
});

const chatFields = z.strictObject({
  ...SAMPLING_FIELDS,
  ...IDLE_FIELDS,
  messages: z.array(message).min(1),
  max_tokens: z.number().int().gte(1).nullish(),
  max_completion_tokens: z.number().int().gte(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.number().int().gte(0).lte(20).nullish(),
  tools: z.array(tool).nullish(),
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

/** The body of `/v1/chat/completions`. */
export interface ChatRequest extends z.output<typeof chatRequest> {
  /** `tools` with the order of their keys and all digits of their whole numbers, which templates print. */
  readonly exactTools: readonly unknown[];
}

/** @throws ApiError 400 that names the first field that is wrong */
export function readChatRequest({ value, text }: JsonBody): ChatRequest {
  const request = checkBody(chatRequest, value);
  const exactTools = request.tools ? exactObject(text)!.get('tools') : [];
  return { ...request, exactTools: exactTools as readonly unknown[] };
}

/** Messages as templates know them: `developer` is the newer name of `system`. */
export const chatMessages = ({ messages }: ChatRequest): ChatMessage[] =>
  messages.map((each) => ({ ...each, role: each.role === 'developer' ? 'system' : each.role }));
