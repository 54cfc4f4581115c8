import { detectableDifference, type RankReport, type RankRow } from '@qdylora/eval';
import { countOf, decimalsFor, lossText } from './number-text.ts';

export type RankVerdict = 'only' | 'best' | 'smallest-good' | 'not-worse' | 'worse' | 'unknown' | 'diverged';

export const VERDICT_TEXT: Readonly<Record<RankVerdict, string>> = {
  only: '',
  best: 'best',
  'smallest-good': 'smallest not worse',
  'not-worse': 'not worse',
  worse: 'worse',
  unknown: 'cannot tell',
  diverged: 'no finite loss',
};

/** A rank sweep with the conclusions that headline, charts and table share. */
export interface RankReading {
  readonly report: RankReport;
  readonly best: RankRow;
  /** The smallest rank that is not worse; the best one where there is too little data. */
  readonly good: RankRow;
  readonly verdictOf: (row: RankRow) => RankVerdict;
  /** Decimals of losses and differences. */
  readonly decimals: number;
  readonly headline: string;
  /** What the headline rests on. */
  readonly reason: string;
}

/** Decimals with which the comparisons of a sweep can be told from 0. */
export function decimalsOf(ranks: readonly RankRow[]): number {
  const errors = ranks
    .flatMap(({ versusBest, versusBase }) => [versusBest.standardError, versusBase?.standardError ?? NaN])
    .filter((error) => error > 0);
  return decimalsFor(Math.min(...errors));
}

/** Draws conclusions from a sweep; null for a sweep without a finite loss. */
export function readRanks(report: RankReport | null): RankReading | null {
  const best = report?.ranks.find(({ rank }) => rank === report.bestRank);
  if (!report || !best || !Number.isFinite(best.loss)) return null;
  const good =
    (isComparable(report) && report.ranks.find(({ rank }) => rank === report.smallestGoodRank)) || best;
  const decimals = decimalsOf(report.ranks);
  return {
    report,
    best,
    good,
    decimals,
    verdictOf: (row) => verdictOf(row, report),
    headline: headlineOf(report, best, good, decimals),
    reason: reasonOf(report, best, good, decimals),
  };
}

/** One example has no spread to judge a difference by. */
export const isComparable = ({ examples }: Pick<RankReport, 'examples'>): boolean => examples >= 2;

function verdictOf(row: RankRow, report: RankReport): RankVerdict {
  if (!Number.isFinite(row.loss)) return 'diverged';
  if (report.ranks.length === 1) return 'only';
  if (row.rank === report.bestRank) return 'best';
  if (!isComparable(report)) return 'unknown';
  if (row.rank === report.smallestGoodRank) return 'smallest-good';
  return row.notWorse ? 'not-worse' : 'worse';
}

/**
 * `better` or `worse`; null where the examples cannot tell the best rank from the base, or where the base was
 * not evaluated.
 */
export function againstBase({ versusBase }: RankRow, alpha: number): 'better' | 'worse' | null {
  if (!versusBase || !(versusBase.pValue < alpha)) return null;
  return versusBase.mean < 0 ? 'better' : 'worse';
}

function headlineOf(report: RankReport, best: RankRow, good: RankRow, decimals: number): string {
  const { alpha, examples, ranks } = report;
  const base = report.base && Number.isFinite(report.base.loss) ? report.base : null;
  const outcome = againstBase(best, alpha);
  // another rank may differ from the base although the best one does not
  const isOfAll = ranks.every((row) => againstBase(row, alpha) === outcome);
  if (base && outcome === 'worse')
    return ranks.length > 1 && isOfAll
      ? 'Every rank is worse than the base'
      : `Rank ${best.rank} is worse than the base`;
  if (!isComparable(report))
    return ranks.length === 1
      ? `Rank ${best.rank}: one example is too little to judge it`
      : `Rank ${best.rank} has the lowest loss, but one example cannot tell ranks apart`;
  if (base && outcome === null)
    return ranks.length > 1 && isOfAll
      ? 'No rank differs significantly from the base'
      : `Rank ${best.rank} does not differ significantly from the base`;
  if (ranks.length === 1)
    return base
      ? `Rank ${best.rank} lowers the loss from ${lossText(base.loss, decimals)} to ` +
          `${lossText(best.loss, decimals)}`
      : `Rank ${best.rank} has a held-out loss of ${lossText(best.loss, decimals)}`;
  if (good.rank !== best.rank)
    return (
      `Rank ${good.rank} is ` +
      `enough${ranks.every(({ notWorse }) => notWorse) ? `, as far as ${examples} examples can tell` : ''}`
    );
  return good.rank === ranks[0].rank
    ? `Rank ${good.rank}, the smallest, is already the best`
    : `Rank ${best.rank} is the best, and every smaller rank is worse`;
}

function reasonOf(
  { alpha, base, ranks, examples }: RankReport,
  best: RankRow,
  good: RankRow,
  decimals: number,
): string {
  const over = `on ${countOf(examples, 'held-out example')}`;
  if (examples < 2) return 'Hold out more rows (val_set_size or eval_dataset) to compare them.';
  const detectable = detectableDifference([good.versusBest.standardError], examples);
  const fineness =
    detectable && detectable > 0
      ? ` Differences below about ${lossText(detectable, decimals)} would usually not be detected.`
      : '';
  if (ranks.length === 1) return `Measured ${over}${base ? ', against the base without an adapter' : ''}.`;
  const doubt =
    againstBase(best, alpha) === 'better' && againstBase(good, alpha) === null
      ? ` Rank ${good.rank} does not differ significantly from the base either.`
      : '';
  if (good.rank !== best.rank)
    return (
      `Rank ${best.rank} has the lowest loss ${over}, but rank ${good.rank} is not significantly ` +
      `worse.${fineness}${doubt}`
    );
  return `Compared pair by pair ${over}.`;
}
