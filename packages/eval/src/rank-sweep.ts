import {
  anyValue,
  assertArgument,
  checkOptions,
  numberWithin,
  shownValue,
  type OptionRules,
} from '@qdylora/contract';
import { assertView } from '@qdylora/tensor';
import { adapterBytes } from './adapter-bytes.ts';
import type { EvalView } from './eval-model.ts';
import { MEASURE_RULES, type EvalTask, type MeasureOptions } from './eval-task.ts';
import { rankReport, type RankReport } from './rank-report.ts';

export interface SweepOptions extends MeasureOptions {
  /**
   * The model without its adapter, to compare with: by default the same model with no active rank; null
   * leaves it out.
   */
  readonly base?: EvalView | null;
  /** 0.05 by default. */
  readonly alpha?: number;
}

const RULES: OptionRules<SweepOptions> = {
  ...MEASURE_RULES,
  base: anyValue,
  alpha: numberWithin({ above: 0, below: 1 }),
};

/**
 * Judges every rank of an adapter, and the base, in one walk over the data: each batch is seen by all of them
 * in turn, so it is prepared once and all are compared on the same tokens.
 *
 * @throws QdyloraError BAD_ARGUMENT without ranks, for views that do not say their rank, a task that returns
 * another number of results than views, and options that are unknown or of another kind; NON_FINITE where no
 * rank has a finite loss; ABORTED where the signal fires.
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
  checkOptions('rank-sweep', options, RULES);
  const list = risingRanks(ranks);
  assertArgument(list.length > 0, 'rank-sweep', 'expected at least one rank to judge, got none');
  const ofRanks = list.map((rank) => atRank(rank));
  ofRanks.forEach((view) => {
    assertView('rank-sweep', view);
  });
  const { model } = ofRanks[0]!;
  const { base = { model, active: null }, alpha, ...measuring } = options;
  const views = base ? [...ofRanks, base] : ofRanks;
  if (base) assertView('rank-sweep', base);
  const results = await task.measure(views, measuring);
  assertArgument(
    Array.isArray(results) && results.length === views.length,
    'rank-sweep',
    `expected ${views.length} results of the task ${task.name}, one for each model in their order, got ` +
      `${Array.isArray(results) ? results.length : shownValue(results)}`,
  );
  return rankReport({
    task: task.name,
    measured: list.map((rank, i) => ({ rank, losses: results[i]! })),
    base: base ? results.at(-1)! : null,
    alpha,
    adapterBytes: (rank) => adapterBytes(model, rank),
  });
}

/** Each once, from any iterable, which may be had only once. */
function risingRanks(ranks: unknown): number[] {
  const list: unknown[] | null =
    typeof ranks === 'object' && ranks !== null && Symbol.iterator in ranks
      ? [...new Set(ranks as Iterable<unknown>)]
      : null;
  assertArgument(
    list?.every((rank) => Number.isSafeInteger(rank)),
    'rank-sweep',
    `expected a list of whole numbers for the ranks, got ${shownValue(list ?? ranks)}`,
    'Give adapted.ranks, or [1, 2, 4].',
  );
  return (list as number[]).sort((a, b) => a - b);
}

function assertAtRank(atRank: unknown): void {
  assertArgument(
    typeof atRank === 'function',
    'rank-sweep',
    `expected a function that gives the model at a rank, got ` +
      `${typeof atRank === 'object' ? 'an object' : shownValue(atRank)}`,
    'Give (rank) => adapted.atRank(rank).',
  );
}

function assertTask(task: unknown): void {
  assertArgument(
    typeof (task as Partial<EvalTask> | null | undefined)?.measure === 'function',
    'rank-sweep',
    'expected a task, an object with name and measure, got none',
    'Give perplexity(examples).',
  );
}
