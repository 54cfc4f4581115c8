import { yieldToEvents, type AbortedWork } from '@qdylora/data';
import { groupByTokenBudget } from '../../group-by-token-budget.ts';
import type { MeasureOptions } from '../../eval-task.ts';
import { passReporter } from '../../pass-reporter.ts';
import { DEFAULT_TOKENS_PER_BATCH } from '../../perplexity.ts';
import type { LogLikelihood, ModelRequest, ModelResponse } from '../requests/model-request.ts';
import type { AnswerCache } from './answer-cache.ts';
import { encodePair, encodeText, prefixToken, rollingWindows, scoredTokens } from './encode-requests.ts';
import { generationSettings, type GenerationSettings } from './generation-settings.ts';
import type { ScoredTokens, TokenModel } from './token-model.ts';
import { cutPrompt, writeUntil, type CutPrompt } from './write-until.ts';

const ABORTED: AbortedWork = { where: 'tasks', problem: 'The evaluation was aborted' };

export interface AnswerOptions extends Pick<MeasureOptions, 'signal' | 'onProgress' | 'clock'> {
  /** Tokens of one forward pass at most; 2048 by default. */
  readonly tokensPerBatch?: number;
  /** Answers that the same model gave before. What is in it is not computed again; new answers are added. */
  readonly cache?: AnswerCache;
}

/** The responses to requests, in their order. */
export interface Answers {
  readonly responses: readonly ModelResponse[];
  /** Requests whose context was longer than the model reads, so that its beginning was cut off. */
  readonly cutContexts: number;
}

/** A request as tokens. */
interface EncodedRequest {
  /** Windows to score; none for a generated text. */
  readonly windows: readonly ScoredTokens[];
  readonly writing: (CutPrompt & { readonly settings: GenerationSettings }) | null;
  readonly isCut: boolean;
}

/**
 * Answers requests as lm-evaluation-harness 0.4.13 does with a causal model: the same tokens, cuts, windows
 * and stop rules. Likelihoods are sums in float64 of the model's float32 values.
 *
 * @throws QdyloraError BAD_DATA, BAD_CONFIG, UNSUPPORTED for requests that the model cannot answer; ABORTED
 */
export async function answerRequests(
  requests: readonly ModelRequest[],
  model: TokenModel,
  options: AnswerOptions = {},
): Promise<Answers> {
  const { cache, signal } = options;
  const encoded = requests.map((request) => encodeRequest(request, model));
  const responses = requests.map((request) => cache?.find(request));
  const settle = (index: number, response: ModelResponse): void => {
    responses[index] = response;
    cache?.add(requests[index], response);
  };
  const open = [...encoded.keys()].filter((i) => responses[i] === undefined);
  const windows = open.flatMap((request) => encoded[request].windows.map((tokens) => ({ request, tokens })));
  const scored = windows.map(({ tokens }) => tokens.ids.length);
  const groups = groupByTokenBudget(scored, options.tokensPerBatch ?? DEFAULT_TOKENS_PER_BATCH);
  const writings = open.filter((i) => encoded[i].writing !== null);
  const reportPass = passReporter(
    [
      ...groups.map((group) => group.reduce((sum, i) => sum + scored[i], 0)),
      ...writings.map((i) => encoded[i].writing!.ids.length),
    ],
    options,
  );
  const parts = new Map(open.map((request): [number, LogLikelihood[]] => [request, []]));
  const firstWindows = new Map(windows.map(({ request }, w) => [request, w]).reverse() as [number, number][]);
  for (const group of groups) {
    await yieldToEvents(signal, ABORTED);
    const results = await model.score(group.map((w) => windows[w].tokens));
    group.forEach((w, i) => {
      const { request } = windows[w];
      const ofRequest = parts.get(request)!;
      ofRequest[w - firstWindows.get(request)!] = results[i];
      const isWhole = Object.keys(ofRequest).length === encoded[request].windows.length;
      if (isWhole) settle(request, scoredResponse(requests[request], ofRequest));
    });
    reportPass();
  }
  for (const i of writings) {
    const beforeToken = (): Promise<void> => yieldToEvents(signal, ABORTED);
    await beforeToken();
    const { ids, settings } = encoded[i].writing!;
    settle(i, await writeUntil(model, ids, settings, beforeToken));
    reportPass();
  }
  return {
    responses: requests.map((request, i) => responses[i] ?? scoredResponse(request, [])),
    cutContexts: encoded.filter(({ isCut }) => isCut).length,
  };
}

function encodeRequest(request: ModelRequest, model: TokenModel): EncodedRequest {
  const { tokenizer, maxLength } = model;
  switch (request.type) {
    case 'loglikelihood': {
      const pair = encodePair(tokenizer, request.context, request.continuation);
      const isCut = pair.context.length + pair.continuation.length > maxLength + 1;
      return { windows: [scoredTokens(pair, maxLength)], writing: null, isCut };
    }
    case 'loglikelihood_rolling': {
      const pairs = rollingWindows(encodeText(tokenizer, request.text), prefixToken(tokenizer), maxLength);
      return { windows: pairs.map((pair) => scoredTokens(pair, maxLength)), writing: null, isCut: false };
    }
    case 'generate_until': {
      const settings = generationSettings(request.settings);
      const cut = cutPrompt(model, request.context, settings.maxNewTokens);
      return { windows: [], writing: { ...cut, settings }, isCut: cut.cutTokens > 0 };
    }
  }
}

/** The response from the scores of all windows of a request; an empty text has none. */
const scoredResponse = (request: ModelRequest, parts: readonly LogLikelihood[]): ModelResponse =>
  request.type === 'loglikelihood'
    ? parts[0]
    : parts.reduce((sum, { logLikelihood }) => sum + logLikelihood, 0);
