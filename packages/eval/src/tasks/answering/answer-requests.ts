import { yieldToEvents, type AbortedWork } from '@qdylora/data';
import type { MeasureOptions } from '../../eval-task.ts';
import { passReporter } from '../../pass-reporter.ts';
import { DEFAULT_TOKENS_PER_BATCH } from '../../perplexity.ts';
import type { LogLikelihood, ModelRequest, ModelResponse } from '../requests/model-request.ts';
import type { AnswerCache } from './answer-cache.ts';
import { requestEncoder, type EncodedRequest, type RequestEncoder } from './encode-request.ts';
import { groupByPrefix, sortByPrefix } from './group-by-prefix.ts';
import type { ScoredTokens, TokenModel } from './token-model.ts';
import { writeUntil } from './write-until.ts';

const ABORTED: AbortedWork = { where: 'tasks', problem: 'The evaluation was aborted' };

export interface AnswerOptions extends Pick<MeasureOptions, 'signal' | 'onProgress' | 'clock'> {
  /** Tokens of one forward pass at most; 2048 by default. */
  readonly tokensPerBatch?: number;
  /** Answers that the same model gave before. What is in it is not computed again; new answers are added. */
  readonly cache?: AnswerCache;
  /** Told once, before the first pass, how many there are: none where all answers are in the cache. */
  readonly onPassCount?: (passes: number) => void;
  /** The encoder of the model, where several ranks share one (`requestEncoder`). */
  readonly encode?: RequestEncoder;
}

/** The responses to requests, in their order. */
export interface Answers {
  readonly responses: readonly ModelResponse[];
  /** Requests whose context was longer than the model reads, so that its beginning was cut off. */
  readonly cutContexts: number;
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
  const { cache, signal, encode = requestEncoder(model) } = options;
  const encoded = requests.map(encode);
  const responses = requests.map((request) => cache?.find(request));
  const settle = (index: number, response: ModelResponse): void => {
    responses[index] = response;
    cache?.add(requests[index], response);
  };
  const open = [...encoded.keys()].filter((i) => responses[i] === undefined);
  const windows = windowsOf(open, encoded);
  const groups = groupByPrefix(
    windows.map(({ tokens }) => tokens.ids),
    options.tokensPerBatch ?? DEFAULT_TOKENS_PER_BATCH,
  );
  const writings = sortByPrefix(
    open.filter((i) => encoded[i].writing !== null),
    (i) => encoded[i].writing!.ids,
  );
  const reportPass = passReporter(
    [
      ...groups.map((group) => group.reduce((sum, w) => sum + windows[w].tokens.ids.length, 0)),
      ...writings.map((i) => encoded[i].writing!.ids.length),
    ],
    options,
  );
  const parts = new Map(open.map((request): [number, LogLikelihood[]] => [request, []]));
  const beforeStep = (): Promise<void> => yieldToEvents(signal, ABORTED);
  const scoreGroup = async (group: readonly number[]): Promise<void> => {
    const results = await model.score(group.map((w) => windows[w].tokens));
    group.forEach((w, i) => {
      const { request, place } = windows[w];
      const ofRequest = parts.get(request)!;
      ofRequest[place] = results[i];
      const isWhole = Object.keys(ofRequest).length === encoded[request].windows.length;
      if (isWhole) settle(request, scoredResponse(requests[request], ofRequest));
    });
  };
  const write = async (i: number): Promise<void> => {
    const { ids, settings } = encoded[i].writing!;
    settle(i, await writeUntil(model, ids, settings, beforeStep));
  };
  const steps = [...groups.map((group) => () => scoreGroup(group)), ...writings.map((i) => () => write(i))];
  options.onPassCount?.(steps.length);
  await runSteps(steps, model.concurrency ?? 1, async (step) => {
    await beforeStep();
    await step();
    reportPass();
  });
  return {
    responses: requests.map((request, i) => responses[i] ?? scoredResponse(request, [])),
    cutContexts: encoded.filter(({ isCut }) => isCut).length,
  };
}

/**
 * Runs steps in their order, several at once. After an error no further step begins, and the error is thrown
 * when the running ones have ended.
 */
async function runSteps<T>(
  steps: readonly T[],
  concurrency: number,
  run: (step: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < steps.length) {
      try {
        await run(steps[next++]);
      } catch (error) {
        next = steps.length;
        throw error;
      }
    }
  };
  const workers = Array.from({ length: Math.min(concurrency, steps.length) }, work);
  await Promise.allSettled(workers);
  await Promise.all(workers);
}

/** Window `place` of a request. */
interface Window {
  readonly request: number;
  readonly place: number;
  readonly tokens: ScoredTokens;
}

const windowsOf = (open: readonly number[], encoded: readonly EncodedRequest[]): Window[] =>
  open.flatMap((request) =>
    encoded[request].windows.map((tokens, place): Window => ({ request, place, tokens })),
  );

/** The response from the scores of all windows of a request; an empty text has none. */
const scoredResponse = (request: ModelRequest, parts: readonly LogLikelihood[]): ModelResponse =>
  request.type === 'loglikelihood'
    ? parts[0]
    : parts.reduce((sum, { logLikelihood }) => sum + logLikelihood, 0);
