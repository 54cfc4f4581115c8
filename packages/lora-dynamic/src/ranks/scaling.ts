import { QdyloraError } from '@qdylora/contract';

/**
 * The factor on B·A at rank b of R:
 * - `paper` alpha / b: DyLoRA's and QDyLoRA's; small ranks move much, large ones little, so the best rank
 *   tends to be a small one;
 * - `sqrt` alpha / √b: rank-stabilized (Kalajdzievski 2023); the best curve in short runs;
 * - `constant` alpha / R: a row weighs the same at every rank, so prefixes of an optimum can be optima; slow
 *   at small ranks in short runs.
 */
export type RankScaling = 'paper' | 'sqrt' | 'constant';
export const RANK_SCALINGS: readonly RankScaling[] = ['paper', 'sqrt', 'constant'];

/** The factor on B·A at `rank`.  @throws QdyloraError BAD_ARGUMENT for an unknown scaling. */
export function scaleAt(scaling: RankScaling, alpha: number, rank: number, maxRank: number): number {
  switch (scaling) {
    case 'paper':
      return alpha / rank;
    case 'sqrt':
      return alpha / Math.sqrt(rank);
    case 'constant':
      return alpha / maxRank;
    default:
      throw new QdyloraError('BAD_ARGUMENT', {
        where: 'lora_scaling',
        problem: `the scaling must be one of ${RANK_SCALINGS.join(', ')} (got ${String(scaling)})`,
      });
  }
}

/**
 * How PEFT spells the same factor for an adapter of rank b: it divides lora_alpha by r, or by √r with
 * use_rslora.
 */
export function peftScaling(
  scaling: RankScaling,
  alpha: number,
  rank: number,
  maxRank: number,
): { loraAlpha: number; useRslora: boolean } {
  if (scaling === 'constant') return { loraAlpha: (alpha * rank) / maxRank, useRslora: false };
  return { loraAlpha: alpha, useRslora: scaling === 'sqrt' };
}
