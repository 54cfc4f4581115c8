import { assertArgument, shownValue } from '@qdylora/contract';
import type { ExampleLosses } from '../example-losses.ts';

/** Losses of every example at one rank. */
export interface RankLosses {
  readonly rank: number;
  readonly losses: ExampleLosses;
}

/** @throws QdyloraError BAD_ARGUMENT unless these are ranks with their losses, at least one, each once */
export function assertRankLosses(
  where: string,
  measured: unknown,
): asserts measured is readonly RankLosses[] {
  assertArgument(
    Array.isArray(measured) && measured.every(isRankLosses),
    where,
    'The losses must be an array of { rank, losses: { sums, counts } }, where sums and counts are typed ' +
      `arrays (got ${shownValue(measured)})`,
  );
  for (const entry of measured) assertCounts(where, entry);
  const ranks = measured.map(({ rank }) => rank);
  assertArgument(ranks.length > 0, where, 'There must be at least one rank to choose from');
  const repeated = ranks.find((rank, i) => ranks.indexOf(rank) < i);
  assertArgument(repeated === undefined, where, `Each rank may occur once (got ${repeated} twice)`);
}

const isRankLosses = (entry: Partial<RankLosses> | null | undefined): entry is RankLosses =>
  Number.isSafeInteger(entry?.rank) &&
  ArrayBuffer.isView(entry?.losses?.sums) &&
  ArrayBuffer.isView(entry.losses.counts);

/** @throws QdyloraError BAD_ARGUMENT for lists of different lengths, and for counts that count nothing */
function assertCounts(where: string, { rank, losses: { sums, counts } }: RankLosses): void {
  assertArgument(
    sums.length === counts.length,
    where,
    `The sums and counts of rank ${rank} must have one entry for each example (got ${sums.length} sums and ` +
      `${counts.length} counts)`,
  );
  assertArgument(
    counts.every((count) => Number.isFinite(count) && count >= 0) && counts.some((count) => count > 0),
    where,
    `The counts of rank ${rank} must be numbers from 0 on, at least one of them above 0`,
  );
}
