import {
  assertArgument,
  checkOptions,
  QdyloraError,
  shownValue,
  wholeNumber,
  type OptionRules,
} from '@qdylora/contract';
import {
  assertExamples,
  collate,
  countCopies,
  countPredicted,
  yieldToEvents,
  type AbortedWork,
  type Example,
  type TokenBatch,
} from '@qdylora/data';
import { assertRankView, inferenceContext } from '@qdylora/tensor';
import type { EvalView } from './eval-model.ts';
import { MEASURE_RULES, type EvalTask, type EvalWorkers, type MeasureOptions } from './eval-task.ts';
import type { ExampleLosses } from './example-losses.ts';
import { groupByTokenBudget } from './group-by-token-budget.ts';
import { passReporter } from './pass-reporter.ts';

/** Tokens of one pass: enough rows to keep a matrix product busy, and a few MB of activations. */
export const DEFAULT_TOKENS_PER_BATCH = 2048;

const ABORTED: AbortedWork = { where: 'eval', problem: 'The evaluation was aborted' };

/** Options of `perplexity`: the size of a forward pass. They do not change the examples that count. */
export interface PerplexityOptions {
  /** Tokens of one forward pass at most; a longer example is a pass of its own. 2048 by default. */
  readonly tokensPerBatch?: number;
}

export const PERPLEXITY_RULES: OptionRules<PerplexityOptions> = { tokensPerBatch: wholeNumber(1) };

/**
 * The task of measuring perplexity: the loss of each example under each view, in one pass over the data.
 *
 * Examples without a counted token are not run; their sum and count are 0. Copies of an example are run once:
 * the first of them has the sums and counts of all, the others have 0 (`ExampleLosses`).
 *
 * @throws QdyloraError BAD_DATA if no token is counted; BAD_ARGUMENT for values that are not examples, and
 * for unknown or wrong options
 * @example
 * const report = await sweepRanks((rank) => adapted.atRank(rank), adapted.ranks, perplexity(heldOut));
 */
export function perplexity(examples: readonly Example[], options: PerplexityOptions = {}): EvalTask {
  checkOptions('perplexity', options, PERPLEXITY_RULES);
  assertExamples('perplexity', examples);
  const { tokensPerBatch = DEFAULT_TOKENS_PER_BATCH } = options;
  const copies = countCopies(examples);
  const counts = Float64Array.from(examples, ({ labels }, i) => copies[i] * countPredicted(labels));
  assertCountedToken(counts);
  const groups = groupCounted(examples, counts, tokensPerBatch);
  return {
    name: 'perplexity',
    async measure(views, measureOptions = {}) {
      assertViews(views);
      checkOptions('perplexity', measureOptions, MEASURE_RULES);
      const results = views.map(() => ({ sums: new Float64Array(examples.length), counts }));
      const tokensOf = (group: readonly number[]): number =>
        group.reduce((sum, i) => sum + examples[i].ids.length, 0);
      const ownGroups = groupsOfWorker(groups, measureOptions.workers);
      const passTokens = ownGroups.flatMap((group) => views.map(() => tokensOf(group)));
      const reportPass = passReporter(passTokens, measureOptions);
      for (const [g, group] of ownGroups.entries()) {
        const batch = collate(group.map((i) => examples[i]));
        for (const [v, view] of views.entries()) {
          await yieldToEvents(measureOptions.signal, ABORTED);
          const sums = await segmentSums(view, batch, measureOptions);
          group.forEach((example, segment) => {
            results[v].sums[example] = copies[example] * sums[segment];
          });
          reportPass(g * views.length + v);
        }
      }
      if (measureOptions.workers) await joinSums(results, measureOptions.workers);
      return results;
    },
  };
}

function assertCountedToken(counts: Float64Array): void {
  if (counts.some((count) => count > 0)) return;
  throw new QdyloraError('BAD_DATA', {
    where: 'perplexity',
    problem: `There is no token to predict in ${counts.length} examples`,
    nextStep: 'Check whether eval_dataset is empty, or whether all of its text is prompt.',
  });
}

function assertViews(views: unknown): void {
  assertArgument(
    Array.isArray(views),
    'perplexity',
    `The views must be an array (got ${typeof views === 'object' ? 'an object' : shownValue(views)})`,
    'Put a single view into an array: [view].',
  );
  views.forEach((view) => {
    assertRankView('perplexity', view);
  });
}

/** Indices of the examples with a counted token, batch by batch. */
function groupCounted(
  examples: readonly Example[],
  counts: Float64Array,
  tokensPerBatch: number,
): number[][] {
  const counted = [...examples.keys()].filter((i) => counts[i] > 0);
  const lengths = counted.map((i) => examples[i].ids.length);
  return groupByTokenBudget(lengths, tokensPerBatch).map((group) => group.map((i) => counted[i]));
}

/** The groups are sorted by their length, so every n-th of them is a fair share. */
const groupsOfWorker = (
  groups: readonly (readonly number[])[],
  workers: EvalWorkers | null | undefined,
): readonly (readonly number[])[] =>
  workers ? groups.filter((_, i) => i % workers.size === workers.rank) : groups;

/** Each example was measured by one worker and is 0 on the others: the sum is exact. */
async function joinSums(results: readonly ExampleLosses[], workers: EvalWorkers): Promise<void> {
  const examples = results[0]?.sums.length ?? 0;
  const all = new Float64Array(results.length * examples);
  results.forEach(({ sums }, view) => {
    all.set(sums, view * examples);
  });
  await workers.allReduce(all);
  results.forEach(({ sums }, view) => {
    sums.set(all.subarray(view * examples, (view + 1) * examples));
  });
}

/** One forward pass without gradients; the summed loss of each segment: [examples] */
async function segmentSums(
  { model, active }: EvalView,
  batch: TokenBatch,
  { computeDtype }: MeasureOptions,
): Promise<Float64Array> {
  const { memory } = model.backend;
  const ctx = {
    ...inferenceContext(model.backend, computeDtype),
    activationDtype: computeDtype,
    active,
  };
  const tokenLosses = memory.scoped(
    () => model.loss(ctx, batch, { lossScale: 1 }).tokenLosses,
    (view) => [view],
  );
  try {
    const losses = await memory.read(tokenLosses);
    const { segments } = batch;
    return Float64Array.from({ length: segments.length - 1 }, (_, s) =>
      losses.subarray(segments[s], segments[s + 1]).reduce((sum, loss) => sum + loss, 0),
    );
  } finally {
    memory.release(tokenLosses);
  }
}
