import type { Tokenizer } from '@qdylora/data';
import type { FinishReason, WrittenToken } from '../../recipes/text/decode-text.ts';
import type { ServedModel } from '../served-models.ts';
import { ApiError } from './api-error.ts';
import { chatMessages, type ChatRequest } from './chat-request.ts';
import { finite } from './completion-logprobs.ts';
import type { Completion } from './completions.ts';
import type { RequestLife } from './request-life.ts';
import { beginChoices, usageOf, type Choice, type Service } from './service.ts';

interface TokenLogprob {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
}
type ChatLogprobs = {
  readonly content: readonly (TokenLogprob & { readonly top_logprobs: TokenLogprob[] })[];
};

/** Begins the answers to a request of `/v1/chat/completions`. @throws as `beginChoices` */
export function beginChatCompletion(service: Service, request: ChatRequest, life: RequestLife): Completion {
  const model = service.models.find(request.model);
  const prompt = promptOf(model, request);
  const topCount = request.logprobs ? (request.top_logprobs ?? 0) : null;
  const room = service.contextTokens - prompt.length;
  const choices = beginChoices(service, [prompt], {
    model,
    fields: request,
    stopIds: model.adapter.chatStopIds,
    maxNewTokens: request.max_completion_tokens ?? request.max_tokens ?? Math.max(1, room),
    scoring: topCount === null ? {} : { topLogProbabilities: topCount },
    life,
  });
  const { tokenizer } = model.adapter;
  const envelope = { id: `chatcmpl-${service.newId()}`, created: service.clock(), model: model.id };
  const logprobsOf = (tokens: readonly WrittenToken[]): ChatLogprobs | null =>
    topCount === null ? null : chatLogprobs(tokens, tokenizer);
  return {
    async whole() {
      const answers = await Promise.all(choices.map(wholeAnswer));
      return {
        ...envelope,
        object: 'chat.completion',
        choices: answers.map(({ content, tokens, finish }, index) => ({
          index,
          message: { role: 'assistant', content, refusal: null },
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
      const counts = await Promise.all(choices.map((choice) => streamChoice(choice, sendDelta)));
      if (!request.stream_options?.include_usage) return;
      const usage = usageOf(
        [prompt],
        counts.reduce((sum, count) => sum + count, 0),
      );
      await send({ ...chunk, choices: [], usage });
    },
  };
}

type SendDelta = (
  index: number,
  delta: { readonly role?: 'assistant'; readonly content?: string },
  end?: { readonly tokens?: readonly WrittenToken[]; readonly finish?: FinishReason },
) => Promise<void>;

/** Sends the answer as it comes, and returns the number of its tokens. */
async function streamChoice({ index, events }: Choice, sendDelta: SendDelta): Promise<number> {
  await sendDelta(index, { role: 'assistant', content: '' });
  let count = 0;
  for await (const event of events) {
    if (event.type === 'text') await sendDelta(index, { content: event.text }, { tokens: event.tokens });
    if (event.type !== 'end') continue;
    count = event.tokens;
    await sendDelta(index, {}, { finish: event.reason });
  }
  return count;
}

async function wholeAnswer({ events }: Choice) {
  let content = '';
  let finish: FinishReason = 'stop';
  let count = 0;
  const tokens: WrittenToken[] = [];
  for await (const event of events) {
    if (event.type === 'text') {
      content += event.text;
      tokens.push(...event.tokens);
    }
    if (event.type === 'end') {
      finish = event.reason;
      count = event.tokens;
    }
  }
  return { content, tokens, finish, count };
}

/** @throws ApiError 400 where the prompt's form cannot show all that the request has */
function promptOf({ adapter: { name, style, tokenizer } }: ServedModel, request: ChatRequest): number[] {
  const messages = chatMessages(request);
  const tools = request.tool_choice === 'none' ? [] : (request.tools ?? []);
  if (tools.length > 0) {
    const template = tokenizer.chatTemplate?.forTools ?? tokenizer.chatTemplate;
    if (!style.usesTemplate || !template?.source.includes('tools'))
      throw new ApiError(400, 'tools_not_supported', `The chat template of ${name} takes no tools.`, 'tools');
    return tokenizer.encode(template.render(messages, { addGenerationPrompt: true, tools }));
  }
  if (!style.usesTemplate && messages.length > 1)
    throw new ApiError(
      400,
      'no_chat_template',
      `The prompts of ${name} are written as ${style.name}, without a chat template: ` +
        'a request has one message.',
      'messages',
    );
  if (!style.usesTemplate && messages[0].content === null)
    throw new ApiError(400, 'invalid_field', 'messages.0.content: a text is needed.', 'messages');
  return style.encode(messages);
}

const chatLogprobs = (tokens: readonly WrittenToken[], tokenizer: Tokenizer): ChatLogprobs => {
  const tokenLogprob = (id: number, logProbability: number): TokenLogprob => {
    const token = tokenizer.tokenText(id);
    return { token, logprob: finite(logProbability), bytes: [...new TextEncoder().encode(token)] };
  };
  return {
    content: tokens.map(({ id, logProbability, top }) => ({
      ...tokenLogprob(id, logProbability!),
      top_logprobs: top.map((chance) => tokenLogprob(chance.id, chance.logProbability)),
    })),
  };
};
