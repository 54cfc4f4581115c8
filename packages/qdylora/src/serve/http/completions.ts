import { encodeSequenceStart } from '@qdylora/data';
import type { FinishReason, TextEvent } from '../../recipes/text/decode-text.ts';
import { countCharacters } from '../../recipes/text/count-characters.ts';
import type { ServedModel } from '../served-models.ts';
import {
  joinedLogprobs,
  logprobsOfPrompt,
  logprobsOfTokens,
  type CompletionLogprobs,
} from './completion-logprobs.ts';
import { promptsOf, type CompletionRequest, type Prompt } from './completion-request.ts';
import type { RequestLife } from './request-life.ts';
import { beginChoices, usageOf, type Choice, type Service, type Usage } from './service.ts';

/** A part of an answer: all of it, or what is new in a stream. */
interface CompletionPart {
  readonly text: string;
  readonly logprobs: CompletionLogprobs | null;
  readonly finish: FinishReason | null;
  /** Tokens that were written, with the last part. */
  readonly tokens: number;
}

/** A request that has begun. */
export interface Completion {
  /** The whole answer. */
  whole(): Promise<unknown>;
  /** The chunks of a stream, those of several choices as they come. */
  chunks(send: (chunk: unknown) => Promise<void>): Promise<void>;
}

/** Begins the answers to a request of `/v1/completions`. @throws as `beginChoices` */
export function beginCompletion(service: Service, request: CompletionRequest, life: RequestLife): Completion {
  const model = service.models.find(request.model);
  const { tokenizer } = model.adapter;
  const requestPrompts = promptsOf(request);
  const prompts = requestPrompts.map((prompt) =>
    typeof prompt === 'string' ? encodeSequenceStart(tokenizer, prompt) : [...prompt],
  );
  const hasLogprobs = request.logprobs !== null && request.logprobs !== undefined;
  const choices = beginChoices(service, prompts, {
    model,
    fields: request,
    stopIds: model.adapter.stopIds,
    maxNewTokens: request.max_tokens,
    isContinued: true,
    promptField: 'prompt',
    lengthField: 'max_tokens',
    scoring: {
      scorePrompt: hasLogprobs && request.echo === true,
      ...(hasLogprobs && { topLogProbabilities: request.logprobs ?? 0 }),
    },
    life,
  });
  const envelope = {
    id: `cmpl-${service.newId()}`,
    object: 'text_completion',
    created: service.clock(),
    model: model.id,
  };
  const partsOf = (choice: Choice): AsyncIterable<CompletionPart> =>
    completionParts(choice, request, {
      model,
      echoed: request.echo ? requestPrompts[Math.floor(choice.index / (request.n ?? 1))] : null,
    });
  return {
    async whole() {
      const answers = await Promise.all(choices.map(async (choice) => joined(partsOf(choice))));
      const tokens = answers.reduce((sum, answer) => sum + answer.tokens, 0);
      return {
        ...envelope,
        choices: answers.map((answer, index) => choiceJson(index, answer)),
        usage: usageOf(prompts, tokens),
      };
    },
    async chunks(send) {
      let tokens = 0;
      await Promise.all(
        choices.map(async (choice) => {
          for await (const part of partsOf(choice)) {
            tokens += part.tokens;
            await send({ ...envelope, choices: [choiceJson(choice.index, part)] });
          }
        }),
      );
      if (request.stream_options?.include_usage)
        await send({ ...envelope, choices: [], usage: usageOf(prompts, tokens) satisfies Usage });
    },
  };
}

const choiceJson = (index: number, { text, logprobs, finish }: CompletionPart) => ({
  index,
  text,
  logprobs,
  finish_reason: finish,
});

async function* completionParts(
  { prompt, events }: Choice,
  request: CompletionRequest,
  { model, echoed }: { readonly model: ServedModel; readonly echoed: Prompt | null },
): AsyncGenerator<CompletionPart> {
  const { tokenizer } = model.adapter;
  const topCount = request.logprobs ?? null;
  let shift = 0;
  for await (const event of events) {
    if (event.type === 'prompt') {
      if (echoed === null) continue;
      const text = typeof echoed === 'string' ? echoed : tokenizer.decode(echoed);
      shift = countCharacters(text);
      // the special tokens that begin a text are not in it
      const hiddenCount =
        topCount !== null && typeof echoed === 'string' ? prompt.length - tokenizer.encode(echoed).length : 0;
      const logprobs =
        topCount === null
          ? null
          : logprobsOfPrompt(prompt, event.scores!, { tokenizer, topCount, hiddenCount });
      yield { text, logprobs, finish: null, tokens: 0 };
    } else {
      yield partOf(event, (tokens) =>
        topCount === null ? null : logprobsOfTokens(tokens, tokenizer, shift),
      );
    }
  }
}

function partOf(
  event: Exclude<TextEvent, { type: 'prompt' }>,
  logprobsOf: (tokens: Extract<TextEvent, { type: 'text' }>['tokens']) => CompletionLogprobs | null,
): CompletionPart {
  if (event.type === 'text')
    return { text: event.text, logprobs: logprobsOf(event.tokens), finish: null, tokens: 0 };
  // clients that score an echoed prompt leave the last token out, so there has to be one
  const logprobs = event.stopToken && logprobsOf([event.stopToken]);
  return { text: '', logprobs, finish: event.reason, tokens: event.tokens };
}

async function joined(parts: AsyncIterable<CompletionPart>): Promise<CompletionPart> {
  let whole: CompletionPart = { text: '', logprobs: null, finish: null, tokens: 0 };
  for await (const { text, logprobs, finish, tokens } of parts)
    whole = {
      text: whole.text + text,
      logprobs:
        whole.logprobs && logprobs ? joinedLogprobs(whole.logprobs, logprobs) : (logprobs ?? whole.logprobs),
      finish: finish ?? whole.finish,
      tokens: whole.tokens + tokens,
    };
  return whole;
}
