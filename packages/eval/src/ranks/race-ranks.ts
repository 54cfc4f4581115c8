import { fewestDiscordant, mcNemarTest } from '../statistics/mcnemar-test.ts';
import { pairedTTest, type PairedDifference } from '../statistics/paired-t-test.ts';
import { Z_95 } from '../statistics/wilson-interval.ts';
import { chooseRank, type RankChoice } from './choose-rank.ts';
import { isRightOrWrong, scaledLosses, type DocumentScores } from './score-report.ts';

/** A rank that left a race before all documents were judged. */
export interface DroppedRank {
  readonly rank: number;
  /** Documents that it was judged on. */
  readonly documents: number;
  /**
   * `worse`: significantly worse than the leading rank. `indifferent`: its difference from the leading rank
   * is known to be below `indifference`, and a smaller rank remains.
   */
  readonly reason: 'worse' | 'indifferent';
  /** Its score minus that of the leading rank on these documents. */
  readonly mean: number;
}

/** The outcome of `raceRanks`: which ranks are left, and why the others are not. */
export interface RaceResult {
  /** Ranks that may still be the best, rising. */
  readonly survivors: readonly number[];
  /** In the order in which they left. */
  readonly dropped: readonly DroppedRank[];
  /** Numbers of documents after which the ranks were compared. */
  readonly looks: readonly number[];
  /** Documents that all survivors were judged on in the race. */
  readonly documents: number;
}

/** Options of `raceRanks`: the direction of the score, and the error rate of the race. */
export interface RaceOptions {
  /** True for a score such as accuracy, false for a loss or an error. */
  readonly higherIsBetter: boolean;
  /** Probability of losing the best rank, over the race and the comparison after it; 0.05 by default. */
  readonly alpha?: number;
  /** Differences of scores below this do not matter: the smallest rank wins. Null by default: all matter. */
  readonly indifference?: number | null;
}

/** Shares of the documents after which the ranks are compared. */
const LOOKS = [1 / 8, 1 / 4, 1 / 2, 3 / 4] as const;
/** Fewer documents decide nothing. */
const FEWEST_DOCUMENTS = 25;

/** Of α, the share that the comparisons within a race may use; the rest is for the comparison after it. */
export const RACE_SHARE = 1 / 2;

/**
 * Drops the ranks that cannot be the best any more while documents remain. After 1/8, 1/4, 1/2 and 3/4 of the
 * documents the ranks are compared (`chooseRank`), and only the confidence set goes on.
 *
 *     α of each look = α/2 / looks
 *
 * By the union bound the truly best rank is dropped with probability of at most α/2, however the documents
 * depend on each other between looks. A comparison of the survivors at α/2 afterwards keeps the whole error
 * rate at α. The race also ends if every difference is known to less than `indifference` (95 % half-widths).
 *
 * Sources: Maron and Moore, Hoeffding Races (1993); Pocock, Group Sequential Methods (1977).
 *
 * @param documents their number; they must be in random order
 * @param measure the scores of documents `from` to `to` (excluded) at each of these ranks
 * @example
 * const race = await raceRanks([1, 2, 4], 1000, judge, { higherIsBetter: true, indifference: 0.01 });
 */
export async function raceRanks(
  ranks: readonly number[],
  documents: number,
  measure: (ranks: readonly number[], from: number, to: number) => Promise<readonly DocumentScores[]>,
  { higherIsBetter, alpha = 0.05, indifference = null }: RaceOptions,
): Promise<RaceResult> {
  const looks = [...new Set(LOOKS.map((share) => Math.floor(share * documents)))].filter(
    (count) => count >= FEWEST_DOCUMENTS,
  );
  const scores = new Map<number, DocumentScores>();
  const dropped: DroppedRank[] = [];
  let survivors = [...ranks].sort((a, b) => a - b);
  let judged = 0;
  for (const look of looks) {
    if (survivors.length < 2) break;
    const measured = await measure(survivors, judged, look);
    survivors.forEach((rank, i) => scores.set(rank, joined(scores.get(rank), measured[i])));
    judged = look;
    const race = compareSoFar(survivors, scores, {
      higherIsBetter,
      alpha: (alpha * RACE_SHARE) / looks.length,
    });
    const leave = (rank: number, reason: DroppedRank['reason']): void => {
      dropped.push({ rank, documents: look, reason, mean: race.differences.get(rank)!.mean });
    };
    for (const rank of survivors) if (!race.confidenceSet.includes(rank)) leave(rank, 'worse');
    survivors = [...race.confidenceSet];
    const mostApart = (difference: PairedDifference): number =>
      Math.abs(difference.mean) + halfWidth(difference, race.floor);
    const isSettled = survivors.every(
      (rank) => rank === race.bestRank || mostApart(race.differences.get(rank)!) < (indifference ?? 0),
    );
    if (!isSettled || survivors.length < 2) continue;
    for (const rank of survivors.slice(1)) leave(rank, 'indifferent');
    survivors = survivors.slice(0, 1);
  }
  return { survivors, dropped, looks, documents: judged };
}

/** Ranks on the documents so far. */
interface RaceState extends Pick<RankChoice, 'bestRank' | 'confidenceSet'> {
  /** By rank: its score minus that of the leading rank. */
  readonly differences: ReadonlyMap<number, PairedDifference>;
  /** The least half-width of an interval: that of documents which have not differed yet. */
  readonly floor: number;
}

function compareSoFar(
  ranks: readonly number[],
  scores: ReadonlyMap<number, DocumentScores>,
  { higherIsBetter, alpha }: { readonly higherIsBetter: boolean; readonly alpha: number },
): RaceState {
  const sign = higherIsBetter ? -1 : 1;
  const measured = ranks.map((rank) => ({ rank, losses: scaledLosses(scores.get(rank)!, sign) }));
  const isBinary = ranks.every((rank) => isRightOrWrong(scores.get(rank)!));
  const { bestRank, confidenceSet, versusBest } = chooseRank(
    measured,
    alpha,
    isBinary ? mcNemarTest : pairedTTest,
  );
  const signed = (one: PairedDifference): PairedDifference => ({ ...one, mean: sign * one.mean + 0 });
  return {
    bestRank,
    confidenceSet,
    differences: new Map(ranks.map((rank, i) => [rank, signed(versusBest[i])])),
    // at 5 %, as the 95 % half-widths
    floor: isBinary ? fewestDiscordant(0.05) / measured[0].losses.counts.length : 0,
  };
}

/** Of a 95 % interval; at least `floor`, where no document has differed yet. */
const halfWidth = ({ standardError }: PairedDifference, floor: number): number =>
  Math.max(floor, Z_95 * standardError);

function concatenated(first: Float64Array, second: Float64Array): Float64Array {
  const all = new Float64Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}

const joined = (first: DocumentScores | undefined, second: DocumentScores): DocumentScores =>
  first
    ? {
        sums: concatenated(first.sums, second.sums),
        counts: concatenated(first.counts, second.counts),
      }
    : second;
