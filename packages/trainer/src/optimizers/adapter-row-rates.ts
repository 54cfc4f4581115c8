import { QdyloraError, shownValue } from '@qdylora/contract';
import { rankSet, type Adapted } from '@qdylora/lora-dynamic';
import type { RowRates } from './row-rates.ts';

/**
 * Factors on the learning rate of B's rows, for the rows that each rank adds (`rateRanks`).
 * - `uniform`: 1.
 * - `inverse_sqrt`: 1/√b. With the scaling `uniform`, an update at rank b then changes the output by
 *   alpha·Σ over j ≤ b of 1/√j ≈ 2·alpha·√b. It grows with b as under the scaling `sqrt` (alpha·√b).
 * - `steep`: 1.5/b^0.77, which was better at most ranks on two models
 *   (docs/research/how-the-default-was-found.md).
 * - numbers: one factor > 0 for each of these ranks.
 */
export type RankRates = 'uniform' | 'inverse_sqrt' | 'steep' | readonly number[];
/** The rank rates that have a name, for checks and messages. */
export const RANK_RATES = ['uniform', 'inverse_sqrt', 'steep'] as const;

/**
 * Factors on the learning rate of B's rows at wide steps, which train the largest rank R alone.
 * - `dedicated`: the same for all rows, as in a run of rank R alone: 1/√R, or 1 if `rankRates` is `uniform`.
 *   With `inverse_sqrt` it was better in one longer run (docs/research/how-the-default-was-found.md).
 * - `nested`: those of `rankRates`, as at all other steps.
 */
export type WideRates = (typeof WIDE_RATES)[number];
/** Every `WideRates`, for checks and messages. */
export const WIDE_RATES = ['dedicated', 'nested'] as const;

/** Options of `adapterRowRates`: the learning rates of an adapter's rows, relative to that of A. */
export interface AdapterRates {
  /** Learning rate of B over that of A (LoRA+, Hayou et al. 2024, arXiv 2402.12354); 1 by default. */
  readonly bRatio?: number;
  /** `uniform` by default. */
  readonly rankRates?: RankRates;
  /**
   * Ranks whose rows get a factor each; by default the ranks of the adapter. The largest must be at least
   * that of the adapter. For a slice whose rows keep the rates of their nested run: the ranks of that run.
   */
  readonly rateRanks?: readonly number[];
  /** `nested` by default. */
  readonly wideRates?: WideRates;
}

/**
 * Factors on the learning rates of an adapter's rows, for the option `rowRates` of an optimizer.
 *
 * @throws QdyloraError BAD_ARGUMENT for an invalid ratio, factor or rank
 * @example
 * const rowRates = adapterRowRates(adapted, { bRatio: 4 });
 * const optimizer = adamw(adapted.parameters(), { learningRate: 1e-3, rowRates });
 */
export function adapterRowRates(
  { ranks, layers }: Pick<Adapted<unknown>, 'ranks' | 'layers'>,
  { bRatio = 1, rankRates = 'uniform', rateRanks = ranks.ranks, wideRates = 'nested' }: AdapterRates,
): RowRates {
  if (!(Number.isFinite(bRatio) && bRatio > 0))
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'loraplus_lr_ratio',
      problem: `The ratio must be a number greater than 0 (got ${shownValue(bRatio)})`,
    });
  if (!WIDE_RATES.includes(wideRates))
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'wide_rates',
      problem: `The wide rates must be one of ${WIDE_RATES.join(', ')} (got ${shownValue(wideRates)})`,
    });
  const blocks = rankSet(rateRanks);
  if (blocks.maxRank < ranks.maxRank)
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'rate_ranks',
      problem: `The largest rank is ${blocks.maxRank}, but the adapter has the rank ${ranks.maxRank}`,
      nextStep: 'Name the ranks of the run that trained the rows.',
    });
  const factors = factorsOf(blocks.ranks, rankRates);
  const dedicated = rankRates === 'uniform' ? 1 : 1 / Math.sqrt(ranks.maxRank);
  const ofA = [{ until: Infinity, factor: 1 }];
  const ofB = blocks.ranks.map((until, i) => ({
    until,
    factor: bRatio * factors[i],
    ...(wideRates === 'dedicated' && { wideFactor: bRatio * dedicated }),
  }));
  const isB = new Set(layers.map(({ b }) => b));
  return (parameter) => (isB.has(parameter) ? ofB : ofA);
}

function factorsOf(ranks: readonly number[], rankRates: RankRates): readonly number[] {
  if (rankRates === 'uniform') return ranks.map(() => 1);
  if (rankRates === 'inverse_sqrt') return ranks.map((rank) => 1 / Math.sqrt(rank));
  if (rankRates === 'steep') return ranks.map((rank) => 1.5 / rank ** 0.77);
  const areValid =
    Array.isArray(rankRates) &&
    rankRates.length === ranks.length &&
    rankRates.every((factor) => Number.isFinite(factor) && factor > 0);
  if (areValid) return rankRates;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'rank_rates',
    problem:
      `There must be one factor greater than 0 for each of the ranks ${ranks.join(', ')} ` +
      `(got ${shownValue(rankRates)})`,
    nextStep: `Or pass one of ${RANK_RATES.join(', ')}.`,
  });
}
