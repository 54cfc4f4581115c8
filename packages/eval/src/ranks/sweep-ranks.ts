import {
  anyValue,
  assertArgument,
  checkOptions,
  numberWithin,
  shownValue,
  type OptionRules,
} from '@qdylora/contract';
import { assertRankView } from '@qdylora/tensor';
import { adapterBytes } from './adapter-bytes.ts';
import type { EvalView } from '../eval-model.ts';
import { MEASURE_RULES, type EvalTask, type MeasureOptions } from '../eval-task.ts';
import type { ExampleLosses } from '../example-losses.ts';
import { rankReport, type RankReport } from './rank-report.ts';

/** Options of `sweepRanks`: the model to compare with, the error rate, and those of the evaluation. */
export interface SweepOptions extends MeasureOptions {
  /**
   * The model without its adapter, for comparison. By default the same model with no active rank; null leaves
   * it out.
   */
  readonly base?: EvalView | null;
  /** Family-wise significance level of the comparisons; 0.05 by default. */
  readonly alpha?: number;
}

const RULES: OptionRules<SweepOptions> = {
  ...MEASURE_RULES,
  base: anyValue, // `assertRankView` checks it
  alpha: numberWithin({ above: 0, below: 1 }),
};

/**
 * Measures every rank of an adapter, and the base, in one pass over the data, and compares them.
 *
 * Each batch is prepared once and run under each view in turn, so all ranks are measured on the same tokens.
 *
 * @throws QdyloraError BAD_ARGUMENT without ranks, for views without a rank, for a task that returns another
 * number of results than views, and for unknown or wrong options; NON_FINITE if no rank has a finite loss;
 * ABORTED if the signal fires
 * @example
 * const report = await sweepRanks((rank) => adapted.atRank(rank), adapted.ranks, perplexity(heldOut));
 * report.smallestGoodRank;
 */
export async function sweepRanks(
  atRank: (rank: number) => EvalView,
  ranks: Iterable<number>,
  task: EvalTask,
  options: SweepOptions = {},
): Promise<RankReport> {
  assertAtRank(atRank);
  assertTask(task);
  checkOptions('sweep-ranks', options, RULES);
  const rising = risingRanks(ranks);
  const rankViews = rising.map((rank) => atRank(rank));
  rankViews.forEach((view) => {
    assertRankView('sweep-ranks', view);
  });
  const { model } = rankViews[0];
  const { base = { model, active: null }, alpha, ...measureOptions } = options;
  if (base) assertRankView('sweep-ranks', base);
  const views = base ? [...rankViews, base] : rankViews;
  const results = await task.measure(views, measureOptions);
  assertResults(task, results, views.length);
  return rankReport({
    task: task.name,
    measured: rising.map((rank, i) => ({ rank, losses: results[i] })),
    base: base ? results.at(-1)! : null,
    alpha,
    adapterBytes: (rank) => adapterBytes(model, rank),
  });
}

/** The ranks, each once, rising. The iterable is read once. */
function risingRanks(ranks: unknown): number[] {
  const distinct: unknown[] | null =
    typeof ranks === 'object' && ranks !== null && Symbol.iterator in ranks
      ? [...new Set(ranks as Iterable<unknown>)]
      : null;
  assertArgument(
    distinct?.every((rank) => Number.isSafeInteger(rank)),
    'sweep-ranks',
    `The ranks must be a list of whole numbers (got ${shownValue(distinct ?? ranks)})`,
    'Give adapted.ranks, or [1, 2, 4].',
  );
  assertArgument(distinct!.length > 0, 'sweep-ranks', 'There must be at least one rank to measure');
  return (distinct as number[]).sort((a, b) => a - b);
}

function assertAtRank(atRank: unknown): void {
  assertArgument(
    typeof atRank === 'function',
    'sweep-ranks',
    'The first argument must be a function from a rank to a view ' +
      `(got ${typeof atRank === 'object' ? 'an object' : shownValue(atRank)})`,
    'Give (rank) => adapted.atRank(rank).',
  );
}

function assertTask(task: unknown): void {
  assertArgument(
    typeof (task as Partial<EvalTask> | null | undefined)?.measure === 'function',
    'sweep-ranks',
    'The task must be an object with name and measure',
    'Give perplexity(examples).',
  );
}

/** A task of the user's own may return anything. */
function assertResults(
  { name }: EvalTask,
  results: unknown,
  viewCount: number,
): asserts results is ExampleLosses[] {
  assertArgument(
    Array.isArray(results) && results.length === viewCount,
    'sweep-ranks',
    `The task ${name} must return ${viewCount} results, one for each view in their order ` +
      `(got ${Array.isArray(results) ? results.length : shownValue(results)})`,
  );
}
