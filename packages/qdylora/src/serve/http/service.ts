import { createRng } from '@qdylora/contract';
import type { DecodeEngine, DecodeOptions } from '@qdylora/models';
import { decodeText, type TextEvent } from '../../recipes/text/decode-text.ts';
import type { ServedModel, ServedModels } from '../served-models.ts';
import { ApiError } from './api-error.ts';
import type { Metrics } from './metrics.ts';
import type { RequestLife } from './request-life.ts';
import { seedOf, type SamplingFields } from './request-fields.ts';

/** What the endpoints share. */
export interface Service {
  readonly models: ServedModels;
  readonly engine: DecodeEngine;
  readonly metrics: Metrics;
  /** Tokens of a prompt and its answer at most. */
  readonly contextTokens: number;
  /** Answers that run and wait at most. */
  readonly mostAnswers: number;
  /** Milliseconds after which a request is ended. */
  readonly timeoutMs: number;
  /** Seconds since 1970. */
  readonly clock: () => number;
  /** An unused id. */
  readonly newId: () => string;
  /** Seed of a prompt whose request has none. */
  readonly newSeed: () => number;
  /** Fires when the server takes no new requests. */
  readonly draining: AbortSignal;
  /** Fires when running requests are ended too. */
  readonly closing: AbortSignal;
  /** Receives errors that clients are not told. */
  readonly onError: (error: unknown) => void;
}

/** One answer of a request. */
export interface Choice {
  readonly index: number;
  readonly prompt: readonly number[];
  readonly events: AsyncIterable<TextEvent>;
}

export interface ChoicesOptions {
  readonly model: ServedModel;
  readonly fields: SamplingFields;
  readonly stopIds: readonly number[];
  readonly maxNewTokens: number;
  readonly scoring: Pick<DecodeOptions, 'scorePrompt' | 'topLogProbabilities'>;
  /** Whether answers go on with the text of the prompt; false by default: a turn of a chat. */
  readonly isContinued?: boolean;
  /** Special tokens that stay in the text; none by default. */
  readonly shownSpecialTokens?: readonly string[];
  /** The field of the request that the prompts come from, for errors. */
  readonly promptField: 'prompt' | 'messages';
  /** The field that the length of answers comes from. */
  readonly lengthField: 'max_tokens' | 'max_completion_tokens';
  readonly life: RequestLife;
}

/**
 * Begins all answers of a request: `n` for each prompt. Either all of them run or wait, or none does. Prompts
 * share the seed of their request; without one each has its own.
 *
 * @throws ApiError for prompts that are too long or too many; QdyloraError BUSY
 */
export function beginChoices(
  service: Service,
  prompts: readonly (readonly number[])[],
  options: ChoicesOptions,
): Choice[] {
  const { model, fields, stopIds, maxNewTokens, scoring, life } = options;
  const { isContinued = false, shownSpecialTokens } = options;
  const { engine, metrics } = service;
  const perPrompt = fields.n ?? 1;
  const answerCount = prompts.length * perPrompt;
  if (answerCount > service.mostAnswers) {
    const message = `A request has at most ${service.mostAnswers} answers here (got ${answerCount}).`;
    throw prompts.length > service.mostAnswers
      ? new ApiError(400, 'too_many_prompts', message, 'prompt')
      : new ApiError(400, 'too_many_answers', message, 'n');
  }
  for (const prompt of prompts)
    assertFits(prompt.length, { ...options, contextTokens: service.contextTokens });
  try {
    const choices = prompts.flatMap((prompt, p) => {
      const seed = seedOf(fields.seed ?? service.newSeed());
      return Array.from({ length: perPrompt }, (_, i): Choice => {
        const events = engine.decode(model.view, prompt, {
          maxNewTokens,
          stopIds,
          temperature: fields.temperature ?? 1,
          topP: fields.top_p ?? 1,
          topK: fields.top_k ?? 0,
          repetitionPenalty: fields.repetition_penalty ?? 1,
          seed: seedOfAnswer(seed, i),
          signal: life.signal,
          ...scoring,
        });
        const context = isContinued ? prompt : [];
        const texts = decodeText(events, model.adapter.tokenizer, {
          stops: fields.stop,
          context,
          shownSpecialTokens,
        });
        return { index: p * perPrompt + i, prompt, events: metrics.counted(texts) };
      });
    });
    for (const prompt of prompts) metrics.addPrompt(prompt.length);
    return choices;
  } catch (error) {
    life.abort(error);
    throw error;
  }
}

/**
 * The seed of the answer with an index within `n`. The first has the request's own seed, as `generate` has.
 * Those of the others share no stream with a request of a neighbouring seed.
 */
const seedOfAnswer = (seed: number, index: number): number =>
  index === 0 ? seed : createRng(seed).named('answer').words(index)[0];

interface FitOptions extends Pick<ChoicesOptions, 'maxNewTokens' | 'promptField' | 'lengthField'> {
  readonly contextTokens: number;
}

function assertFits(
  promptTokens: number,
  { maxNewTokens, contextTokens, promptField, lengthField }: FitOptions,
): void {
  if (promptTokens === 0) throw new ApiError(400, 'empty_prompt', 'The prompt has no tokens.', promptField);
  if (promptTokens + maxNewTokens <= contextTokens) return;
  throw new ApiError(
    400,
    'context_length_exceeded',
    `This model's context is ${contextTokens} tokens, but ${promptTokens + maxNewTokens} are asked for ` +
      `(${promptTokens} in the prompt, ${maxNewTokens} in the answer).`,
    promptTokens + Math.min(1, maxNewTokens) > contextTokens ? promptField : lengthField,
  );
}

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** Each prompt counts once, however many answers it gets. */
export function usageOf(prompts: readonly (readonly number[])[], completionTokens: number): Usage {
  const promptTokens = prompts.reduce((sum, prompt) => sum + prompt.length, 0);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}
