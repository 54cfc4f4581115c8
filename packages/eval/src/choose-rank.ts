import { assertArgument, QdyloraError, shownValue } from '@qdylora/contract';
import type { ExampleLosses } from './example-losses.ts';
import { holmAdjusted } from './statistics/holm.ts';
import { pairedDifference, type PairedDifference } from './statistics/paired-difference.ts';
import { ratioMean } from './statistics/ratio-mean.ts';

export interface RankLosses {
  readonly rank: number;
  readonly losses: ExampleLosses;
}

export interface RankChoice {
  /** The rank with the smallest held-out loss; of equals, the smaller one. */
  readonly bestRank: number;
  /** The ranks that these examples cannot tell from the best. */
  readonly confidenceSet: readonly number[];
  /** The smallest of them: what to export by default. */
  readonly smallestGoodRank: number;
  /** Each rank against the best, p-values adjusted for all comparisons; in the order of the ranks given. */
  readonly versusBest: readonly PairedDifference[];
}

/**
 * Which ranks are as good as the best? Each is compared with the best one, paired by example; Holm's
 * step-down takes the number of comparisons into account.
 * The set holds the truly best rank with a confidence of at least 1 − α (as in Hsu's multiple comparisons
 * with the best, 1984): for it to be left out, another must look better by a two-sided margin, and only one
 * side of that is possible. It says nothing finer than the report's `detectableDifference`.
 *
 * @throws QdyloraError BAD_ARGUMENT for no rank, or one that is there twice; NON_FINITE where no rank has a
 * finite loss.
 */
export function chooseRank(measured: readonly RankLosses[], alpha = 0.05): RankChoice {
  assertMeasured('choose-rank', measured);
  assertArgument(measured.length > 0, 'choose-rank', 'expected at least one rank to choose from, got none');
  assertArgument(
    typeof alpha === 'number' && alpha > 0 && alpha < 1,
    'choose-rank',
    `expected a level within 0 < α < 1, got ${shownValue(alpha)}`,
  );
  const sorted = measured
    .map(({ rank, losses }) => ({ rank, losses, mean: ratioMean(losses).mean }))
    .filter(({ mean }) => Number.isFinite(mean))
    .sort((a, b) => a.mean - b.mean || a.rank - b.rank);
  const [best] = sorted;
  if (!best)
    throw new QdyloraError('NON_FINITE', {
      where: 'choose-rank',
      problem:
        `expected a finite loss for at least one rank, got none for ` +
        `${measured.map(({ rank }) => rank).join(', ')}`,
      nextStep: 'The adapter has diverged: train again with a smaller learning rate.',
    });
  const others = sorted
    .slice(1)
    .map(({ rank, losses }) => ({ rank, difference: pairedDifference(losses, best.losses) }));
  const adjusted = holmAdjusted(others.map(({ difference }) => difference.pValue));
  const byRank = new Map<number, PairedDifference>([[best.rank, { mean: 0, standardError: 0, pValue: 1 }]]);
  others.forEach(({ rank, difference }, i) => byRank.set(rank, { ...difference, pValue: adjusted[i]! }));
  const confidenceSet = [...byRank]
    .filter(([, { pValue }]) => pValue >= alpha)
    .map(([rank]) => rank)
    .sort((a, b) => a - b);
  return {
    bestRank: best.rank,
    confidenceSet,
    smallestGoodRank: confidenceSet[0]!,
    versusBest: measured.map(({ rank }) => byRank.get(rank) ?? { mean: NaN, standardError: NaN, pValue: 0 }),
  };
}

/** @throws QdyloraError BAD_ARGUMENT unless they are ranks with their losses, each once */
export function assertMeasured(where: string, measured: unknown): asserts measured is readonly RankLosses[] {
  const isOne = (entry: Partial<RankLosses> | null | undefined): boolean =>
    Number.isSafeInteger(entry?.rank) &&
    ArrayBuffer.isView(entry?.losses?.sums) &&
    ArrayBuffer.isView(entry.losses.counts);
  assertArgument(
    Array.isArray(measured) && measured.every(isOne),
    where,
    `expected an array of ranks with their losses, { rank, losses: { sums, counts } }, got ` +
      `${shownValue(measured)}`,
  );
  const ranks = (measured as readonly RankLosses[]).map(({ rank }) => rank);
  const twice = ranks.find((rank, i) => ranks.indexOf(rank) < i);
  assertArgument(twice === undefined, where, `expected each rank once, got ${twice} twice`);
}
