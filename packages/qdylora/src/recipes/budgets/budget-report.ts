import {
  holmBonferroni,
  pairedTTest,
  ratioEstimate,
  type ExampleLosses,
  type MeasuredLoss,
  type PairedDifference,
  type RankLosses,
} from '@qdylora/eval';

/** An adapter with a rank for each layer, and its held-out loss. */
export interface BudgetRow extends MeasuredLoss {
  /** The bytes that it may take. */
  readonly budgetBytes: number;
  /** Bytes of its A and B in float32, at most `budgetBytes`. */
  readonly adapterBytes: number;
  /** The smallest rank of a layer; 0: a layer without an adapter. */
  readonly smallestRank: number;
  readonly largestRank: number;
}

/**
 * The smallest budget that is not significantly worse than one rank at every layer, by a one-sided reading of
 * paired t-tests that are Holm-adjusted over the budgets.
 */
export interface NotWorseBudget {
  readonly rank: number;
  /** Null where every budget is worse. */
  readonly budgetBytes: number | null;
  /** Loss at that budget minus loss at the rank; null where every budget is worse. */
  readonly difference: PairedDifference | null;
}

/** Held-out losses of an adapter cut to several sizes with a rank for each layer. */
export interface BudgetReport {
  /** Training rows that decided the ranks of layers. */
  readonly rows: number;
  /** Rising in bytes. */
  readonly budgets: readonly BudgetRow[];
  /** One for each rank, rising. None for a single held-out example, which cannot tell losses apart. */
  readonly smallestNotWorse: readonly NotWorseBudget[];
}

/** Losses of one adapter under a budget. */
export type MeasuredBudget = Omit<BudgetRow, keyof MeasuredLoss> & { readonly losses: ExampleLosses };

export interface BudgetReportParts {
  readonly rows: number;
  /** Rising in bytes. */
  readonly measured: readonly MeasuredBudget[];
  /** The losses of one rank at every layer, on the same examples. */
  readonly ranks: readonly RankLosses[];
  /** Significance level of the comparisons. */
  readonly alpha: number;
}

export function budgetReport({ rows, measured, ranks, alpha }: BudgetReportParts): BudgetReport {
  const isComparable = ranks.some(({ losses }) => losses.counts.filter((count) => count > 0).length >= 2);
  return {
    rows,
    budgets: measured.map(({ losses, ...budget }) => {
      const { mean: loss, standardError } = ratioEstimate(losses);
      return { ...budget, loss, standardError, perplexity: Math.exp(loss) };
    }),
    smallestNotWorse: isComparable ? ranks.map((rank) => notWorseBudget(rank, measured, alpha)) : [],
  };
}

function notWorseBudget(
  { rank, losses }: RankLosses,
  measured: readonly MeasuredBudget[],
  alpha: number,
): NotWorseBudget {
  const differences = measured.map((budget) => pairedTTest(budget.losses, losses));
  const pValues = holmBonferroni(differences.map(({ pValue }) => pValue));
  const first = differences.findIndex(({ mean }, i) => mean <= 0 || (mean > 0 && pValues[i] >= alpha));
  if (first < 0) return { rank, budgetBytes: null, difference: null };
  return {
    rank,
    budgetBytes: measured[first].budgetBytes,
    difference: { ...differences[first], pValue: pValues[first] },
  };
}
