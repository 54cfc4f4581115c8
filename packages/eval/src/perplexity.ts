import { setImmediate } from 'node:timers/promises';
import {
  assertArgument,
  checkOptions,
  QdyloraError,
  shownValue,
  wholeNumber,
  type OptionRules,
} from '@qdylora/contract';
import { assertExamples, collate, countPredicted, type Example, type TokenBatch } from '@qdylora/data';
import { assertView, inferenceContext } from '@qdylora/tensor';
import type { EvalView } from './eval-model.ts';
import { MEASURE_RULES, type EvalTask, type MeasureOptions } from './eval-task.ts';
import type { ExampleLosses } from './example-losses.ts';
import { groupByLength } from './group-by-length.ts';
import { ratioMean } from './statistics/ratio-mean.ts';

/** Tokens of one pass: enough rows to keep a matrix product busy, and a few MB of activations. */
export const DEFAULT_TOKENS_PER_BATCH = 2048;

export interface PerplexityOptions {
  readonly tokensPerBatch?: number;
}

const RULES: OptionRules<PerplexityOptions> = { tokensPerBatch: wholeNumber(1) };

export interface LossReport {
  /** Mean over all counted tokens, in nats. */
  readonly loss: number;
  /** exp(loss) */
  readonly perplexity: number;
  /** Counted tokens. */
  readonly tokens: number;
  /** Of the loss, clustered by example; NaN for fewer than two examples. */
  readonly standardError: number;
  readonly perExample: ExampleLosses;
}

/**
 * Loss and perplexity of one view over examples: Σ losses / Σ counted tokens. The standard error treats an
 * example, not a token, as the thing that was drawn.
 *
 * @throws QdyloraError BAD_DATA without a counted token; BAD_ARGUMENT for a view that does not say its rank,
 * examples that are none, and options that are unknown or of another kind; ABORTED where the signal fires.
 * @example
 * const { loss, standardError } = await lossOver(adapted.atRank(8), heldOut);
 */
export async function lossOver(
  view: EvalView,
  examples: readonly Example[],
  options: PerplexityOptions & MeasureOptions = {},
): Promise<LossReport> {
  assertView('loss-over', view);
  checkOptions('loss-over', options, { ...RULES, ...MEASURE_RULES });
  const { tokensPerBatch, ...measuring } = options;
  const [perExample] = await perplexity(examples, { tokensPerBatch }).measure([view], measuring);
  const { mean, standardError } = ratioMean(perExample!);
  return {
    loss: mean,
    perplexity: Math.exp(mean),
    tokens: perExample!.counts.reduce((sum, count) => sum + count, 0),
    standardError,
    perExample: perExample!,
  };
}

/**
 * Perplexity as a task: the loss of each example under each view, in one walk over the data. @throws
 * QdyloraError as `lossOver` does
 */
export function perplexity(examples: readonly Example[], options: PerplexityOptions = {}): EvalTask {
  checkOptions('perplexity', options, RULES);
  assertExamples('perplexity', examples);
  const { tokensPerBatch = DEFAULT_TOKENS_PER_BATCH } = options;
  const counts = Float64Array.from(examples, ({ labels }) => countPredicted(labels));
  if (!counts.some((count) => count > 0)) {
    throw new QdyloraError('BAD_DATA', {
      where: 'perplexity',
      problem: `expected at least one token to predict, got none in ${examples.length} examples`,
      nextStep: 'Is eval_dataset empty, or is everything in it a prompt?',
    });
  }
  const counted = [...examples.keys()].filter((i) => counts[i]! > 0);
  const groups = groupByLength(
    counted.map((i) => examples[i]!.ids.length),
    tokensPerBatch,
  ).map((group) => group.map((at) => counted[at]!));
  return {
    name: 'perplexity',
    async measure(views, measuring = {}) {
      checkMeasuring(views, measuring);
      const results = views.map(() => ({ sums: new Float64Array(examples.length), counts }));
      for (const [done, group] of groups.entries()) {
        const batch = collate(group.map((i) => examples[i]!));
        for (const [v, view] of views.entries()) {
          await turn(measuring.signal);
          const sums = await segmentSums(view, batch, measuring);
          group.forEach((example, segment) => {
            results[v]!.sums[example] = sums[segment]!;
          });
          measuring.onProgress?.(done * views.length + v + 1, groups.length * views.length);
        }
      }
      return results;
    },
  };
}

function checkMeasuring(views: unknown, measuring: unknown): void {
  assertArgument(
    Array.isArray(views),
    'perplexity',
    `expected an array of models at their ranks, got ` +
      `${typeof views === 'object' ? 'an object' : shownValue(views)}`,
    'A single one stands in an array too: [view].',
  );
  views.forEach((view) => {
    assertView('perplexity', view);
  });
  checkOptions('perplexity', measuring, MEASURE_RULES);
}

/** One forward pass without gradients; the summed loss of each segment. */
async function segmentSums(
  { model, active }: EvalView,
  batch: TokenBatch,
  { computeDtype }: MeasureOptions,
): Promise<Float64Array> {
  const { backend } = model;
  const { memory } = backend;
  const tokenLosses = memory.scoped(
    () =>
      model.loss(
        { ...inferenceContext(backend, computeDtype), activationDtype: computeDtype, active },
        batch,
        { lossScale: 1 },
      ).tokenLosses,
    (kept) => [kept],
  );
  const losses = await memory.read(tokenLosses);
  const { segments } = batch;
  memory.release(tokenLosses);
  return Float64Array.from({ length: segments.length - 1 }, (_, s) =>
    losses.subarray(segments[s], segments[s + 1]).reduce((sum, loss) => sum + loss, 0),
  );
}

async function turn(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate();
  if (signal?.aborted)
    throw new QdyloraError('ABORTED', {
      where: 'eval',
      problem: 'the evaluation was aborted',
      cause: signal.reason,
    });
}
