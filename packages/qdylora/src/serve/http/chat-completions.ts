import { QdyloraError, withParts } from '@qdylora/contract';
import type { Tokenizer } from '@qdylora/data';
import type { WrittenToken } from '../../recipes/text/decode-text.ts';
import type { ServedModel } from '../served-models.ts';
import { CALL_MARKERS, toolCallFormatOf } from '../tool-calls/tool-call-format.ts';
import { createToolCallReader, type ToolCallReader } from '../tool-calls/tool-call-reader.ts';
import { ApiError, plainMessage } from './api-error.ts';
import { readChatAnswer, type ChatEvent, type ChatFinish } from './chat-answer.ts';
import { chatMessages, type ChatRequest } from './chat-request.ts';
import { finite } from './completion-logprobs.ts';
import type { Completion } from './completions.ts';
import type { RequestLife } from './request-life.ts';
import { beginChoices, usageOf, type Choice, type Service } from './service.ts';

interface TokenLogprob {
  readonly token: string;
  readonly logprob: number;
  /** UTF-8, also of a token that is only part of a character; null where the tokenizer does not know them. */
  readonly bytes: readonly number[] | null;
}
type ChatLogprobs = {
  readonly content: readonly (TokenLogprob & { readonly top_logprobs: TokenLogprob[] })[];
};

/** Begins the answers to a request of `/v1/chat/completions`. @throws as `beginChoices` */
export function beginChatCompletion(service: Service, request: ChatRequest, life: RequestLife): Completion {
  const model = service.models.find(request.model);
  const { prompt, callMarkers, openCallReader } = promptOf(model, request);
  const topCount = request.logprobs ? (request.top_logprobs ?? 0) : null;
  const room = service.contextTokens - prompt.length;
  const choices = beginChoices(service, [prompt], {
    model,
    fields: request,
    stopIds: model.adapter.chatStopIds,
    maxNewTokens: request.max_completion_tokens ?? request.max_tokens ?? Math.max(1, room),
    scoring: topCount === null ? {} : { topLogProbabilities: topCount },
    isContinued: model.adapter.style.isContinued,
    shownSpecialTokens: callMarkers,
    promptField: 'messages',
    lengthField: typeof request.max_completion_tokens === 'number' ? 'max_completion_tokens' : 'max_tokens',
    life,
  });
  const { tokenizer } = model.adapter;
  const answerOf = ({ events }: Choice): AsyncIterable<ChatEvent> =>
    readChatAnswer(events, { reader: openCallReader(), newId: service.newId });
  const envelope = { id: `chatcmpl-${service.newId()}`, created: service.clock(), model: model.id };
  const logprobsOf = (tokens: readonly WrittenToken[]): ChatLogprobs | null =>
    topCount === null ? null : chatLogprobs(tokens, tokenizer);
  return {
    async whole() {
      const answers = await Promise.all(choices.map((choice) => wholeAnswer(answerOf(choice))));
      return {
        ...envelope,
        object: 'chat.completion',
        choices: answers.map(({ message, tokens, finish }, index) => ({
          index,
          message: { role: 'assistant', ...message, refusal: null },
          logprobs: logprobsOf(tokens),
          finish_reason: finish,
        })),
        usage: usageOf(
          [prompt],
          answers.reduce((sum, { count }) => sum + count, 0),
        ),
      };
    },
    async chunks(send) {
      const chunk = { ...envelope, object: 'chat.completion.chunk' };
      const sendDelta: SendDelta = (index, delta, { tokens = null, finish = null } = {}) =>
        send({
          ...chunk,
          choices: [{ index, delta, logprobs: tokens && logprobsOf(tokens), finish_reason: finish }],
        });
      const counts = await Promise.all(
        choices.map((choice) => streamAnswer(choice.index, answerOf(choice), sendDelta)),
      );
      if (!request.stream_options?.include_usage) return;
      const usage = usageOf(
        [prompt],
        counts.reduce((sum, count) => sum + count, 0),
      );
      await send({ ...chunk, choices: [], usage });
    },
  };
}

/** A call as the interface has it; in a stream with its number. */
interface ToolCallJson {
  readonly index?: number;
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: string };
}
type SendDelta = (
  index: number,
  delta: {
    readonly role?: 'assistant';
    readonly content?: string;
    readonly tool_calls?: readonly ToolCallJson[];
  },
  end?: { readonly tokens?: readonly WrittenToken[]; readonly finish?: ChatFinish },
) => Promise<void>;

/** Sends the answer as it comes, and returns the number of its tokens. */
async function streamAnswer(
  index: number,
  answer: AsyncIterable<ChatEvent>,
  sendDelta: SendDelta,
): Promise<number> {
  await sendDelta(index, { role: 'assistant', content: '' });
  let count = 0;
  let callCount = 0;
  for await (const event of answer) {
    if (event.type === 'text') await sendDelta(index, { content: event.text }, { tokens: event.tokens });
    if (event.type === 'call')
      await sendDelta(index, { tool_calls: [{ index: callCount++, ...callJson(event) }] });
    if (event.type !== 'end') continue;
    count = event.tokens;
    await sendDelta(index, {}, { finish: event.reason });
  }
  return count;
}

const callJson = ({ id, call }: Extract<ChatEvent, { type: 'call' }>): ToolCallJson => ({
  id,
  type: 'function',
  function: { name: call.name, arguments: call.arguments },
});

async function wholeAnswer(answer: AsyncIterable<ChatEvent>) {
  let content = '';
  let finish: ChatFinish = 'stop';
  let count = 0;
  const tokens: WrittenToken[] = [];
  const calls: ToolCallJson[] = [];
  for await (const event of answer) {
    if (event.type === 'text') {
      content += event.text;
      tokens.push(...event.tokens);
    } else if (event.type === 'call') {
      calls.push(callJson(event));
    } else {
      finish = event.reason;
      count = event.tokens;
    }
  }
  const message =
    calls.length > 0 ? { content: content === '' ? null : content, tool_calls: calls } : { content };
  return { message, tokens, finish, count };
}

/** A prompt, and how to read calls of tools from an answer to it. */
interface ChatPrompt {
  readonly prompt: number[];
  /** Special tokens that the reader looks for. */
  readonly callMarkers: readonly string[];
  /** A reader for one answer; null where none is to be found, or the template shows no format. */
  openCallReader(): ToolCallReader | null;
}

/** @throws ApiError 400 where the prompt cannot show all that the request has, or its template refuses it */
function promptOf(model: ServedModel, request: ChatRequest): ChatPrompt {
  try {
    return writtenPrompt(model, request);
  } catch (error) {
    // other codes are errors of the template itself
    if (!QdyloraError.isInstance(error) || error.code !== 'BAD_DATA') throw error;
    const message = plainMessage(withParts(error, { nextStep: 'Correct the messages.' }));
    throw new ApiError(400, 'bad_data', message, 'messages');
  }
}

function writtenPrompt(
  { adapter: { name, style, tokenizer } }: ServedModel,
  request: ChatRequest,
): ChatPrompt {
  const messages = chatMessages(request);
  const tools = request.tool_choice === 'none' ? [] : (request.tools ?? []);
  if (tools.length > 0) {
    const template = tokenizer.chatTemplate?.forTools ?? tokenizer.chatTemplate;
    if (!style.usesTemplate || !template?.reads('tools'))
      throw new ApiError(400, 'tools_not_supported', `The chat template of ${name} takes no tools.`, 'tools');
    const format = toolCallFormatOf(template.source);
    const names = new Set(tools.map((tool) => tool.function.name));
    return {
      prompt: tokenizer.encode(
        template.render(messages, { addGenerationPrompt: true, tools: request.exactTools }),
      ),
      callMarkers: format ? CALL_MARKERS[format] : [],
      openCallReader: () => format && createToolCallReader(format, names),
    };
  }
  const [{ role }] = request.messages;
  if (!style.usesTemplate && (messages.length > 1 || role !== 'user'))
    throw new ApiError(
      400,
      'no_chat_template',
      `${name} has no chat template, so a request must have one message, of the role user ` +
        `(got ${messages.length > 1 ? `${messages.length} messages` : role}).`,
      'messages',
    );
  return { prompt: style.encode(messages), callMarkers: [], openCallReader: () => null };
}

const chatLogprobs = (tokens: readonly WrittenToken[], tokenizer: Tokenizer): ChatLogprobs => {
  const tokenLogprob = (id: number, logProbability: number): TokenLogprob => {
    const bytes = tokenizer.tokenBytes(id);
    return { token: tokenizer.tokenText(id), logprob: finite(logProbability), bytes: bytes && [...bytes] };
  };
  return {
    content: tokens.map(({ id, logProbability, top }) => ({
      ...tokenLogprob(id, logProbability!),
      top_logprobs: top.map((chance) => tokenLogprob(chance.id, chance.logProbability)),
    })),
  };
};
