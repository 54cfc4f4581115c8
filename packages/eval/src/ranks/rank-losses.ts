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
  const ranks = measured.map(({ rank }) => rank);
  assertArgument(ranks.length > 0, where, 'There must be at least one rank to choose from');
  const repeated = ranks.find((rank, i) => ranks.indexOf(rank) < i);
  assertArgument(repeated === undefined, where, `Each rank may occur once (got ${repeated} twice)`);
}

const isRankLosses = (entry: Partial<RankLosses> | null | undefined): entry is RankLosses =>
  Number.isSafeInteger(entry?.rank) &&
  ArrayBuffer.isView(entry?.losses?.sums) &&
  ArrayBuffer.isView(entry.losses.counts);
