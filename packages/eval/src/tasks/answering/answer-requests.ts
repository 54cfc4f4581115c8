import { yieldToEvents, type AbortedWork } from '@qdylora/data';
import type { MeasureOptions } from '../../eval-task.ts';
import { passReporter } from '../../pass-reporter.ts';
import { DEFAULT_TOKENS_PER_BATCH } from '../../perplexity.ts';
import type { LogLikelihood, ModelRequest, ModelResponse } from '../requests/model-request.ts';
import type { AnswerCache } from './answer-cache.ts';
import { requestEncoder, type EncodedRequest, type RequestEncoder } from './request-encoder.ts';
import { groupByPrefix, sortByPrefix } from './group-by-prefix.ts';
import type { ScoredTokens, TokenModel } from './token-model.ts';
import { writeUntil } from './write-until.ts';

const ABORTED: AbortedWork = { where: 'tasks', problem: 'The evaluation was aborted' };

/** Options of `answerRequests`: the size of a forward pass, and which answers are known already. */
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
  const recordResponse = (index: number, response: ModelResponse): void => {
    responses[index] = response;
    cache?.add(requests[index], response);
  };
  const unanswered = [...encoded.keys()].filter((i) => responses[i] === undefined);
  const windows = windowsOf(unanswered, encoded);
  const groups = groupByPrefix(
    windows.map(({ tokens }) => tokens.ids),
    options.tokensPerBatch ?? DEFAULT_TOKENS_PER_BATCH,
  );
  const generated = sortByPrefix(
    unanswered.filter((i) => encoded[i].writing !== null),
    (i) => encoded[i].writing!.ids,
  );
  const reportPass = passReporter(
    [
      ...groups.map((group) => group.reduce((sum, window) => sum + windows[window].tokens.ids.length, 0)),
      ...generated.map((i) => encoded[i].writing!.ids.length),
    ],
    options,
  );
  const addScore = scoreCollector(unanswered, encoded, (request, scores) => {
    recordResponse(request, scoredResponse(requests[request], scores));
  });
  const beforeStep = (): Promise<void> => yieldToEvents(signal, ABORTED);
  const scoreGroup = async (group: readonly number[]): Promise<void> => {
    const scores = await model.score(group.map((window) => windows[window].tokens));
    group.forEach((window, i) => {
      addScore(windows[window], scores[i]);
    });
  };
  const write = async (i: number): Promise<void> => {
    const { ids, settings } = encoded[i].writing!;
    recordResponse(i, await writeUntil(model, ids, settings, beforeStep));
  };
  const steps = [...groups.map((group) => () => scoreGroup(group)), ...generated.map((i) => () => write(i))];
  options.onPassCount?.(steps.length);
  await runSteps(steps, model.concurrency ?? 1, async (step, index) => {
    await beforeStep();
    await step();
    reportPass(index);
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
  run: (step: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < steps.length) {
      try {
        const index = next++;
        await run(steps[index], index);
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

const windowsOf = (unanswered: readonly number[], encoded: readonly EncodedRequest[]): Window[] =>
  unanswered.flatMap((request) =>
    encoded[request].windows.map((tokens, place): Window => ({ request, place, tokens })),
  );

/**
 * Collects the score of each window; calls `onComplete` with the scores of a request when its last one is
 * added.
 */
function scoreCollector(
  unanswered: readonly number[],
  encoded: readonly EncodedRequest[],
  onComplete: (request: number, scores: readonly LogLikelihood[]) => void,
): (window: Window, score: LogLikelihood) => void {
  const pending = new Map(
    unanswered.map((request) => [
      request,
      { scores: [] as LogLikelihood[], missing: encoded[request].windows.length },
    ]),
  );
  return ({ request, place }, score) => {
    const ofRequest = pending.get(request)!;
    ofRequest.scores[place] = score;
    ofRequest.missing--;
    if (ofRequest.missing === 0) onComplete(request, ofRequest.scores);
  };
}

/** The response from the scores of all windows of a request; an empty text has none. */
const scoredResponse = (request: ModelRequest, scores: readonly LogLikelihood[]): ModelResponse =>
  request.type === 'loglikelihood'
    ? scores[0]
    : scores.reduce((sum, { logLikelihood }) => sum + logLikelihood, 0);
