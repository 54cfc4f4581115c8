import { QdyloraError } from '@qdylora/contract';

/**
 * The factor on B·A at rank b of R.
 * - `paper`: alpha / b, as in DyLoRA and QDyLoRA. Small ranks learn fast, large ones slowly, so the best rank
 *   tends to be small.
 * - `sqrt`: alpha / √b, rank-stabilized (Kalajdzievski 2023).
 * - `uniform`: alpha. A row counts the same at every rank, so a prefix of a good adapter can be good too.
 *   Rows that large ranks add need smaller steps then: the row rates `inverse_sqrt`.
 * - `constant`: alpha / R, the same in the numbers of an adapter of rank R.
 */
export type RankScaling = 'paper' | 'sqrt' | 'uniform' | 'constant';
export const RANK_SCALINGS = [
  'paper',
  'sqrt',
  'uniform',
  'constant',
] as const satisfies readonly RankScaling[];

/** The factor on B·A at `rank`.  @throws QdyloraError BAD_ARGUMENT for an unknown scaling. */
export function scaleAt(scaling: RankScaling, alpha: number, rank: number, maxRank: number): number {
  switch (scaling) {
    case 'paper':
      return alpha / rank;
    case 'sqrt':
      return alpha / Math.sqrt(rank);
    case 'uniform':
      return alpha;
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
 * The same factor in the keys of PEFT, for an adapter of rank b: PEFT divides lora_alpha by r, or by √r with
 * use_rslora.
 */
export function peftScaling(
  scaling: RankScaling,
  alpha: number,
  rank: number,
  maxRank: number,
): { loraAlpha: number; useRslora: boolean } {
  if (scaling === 'uniform') return { loraAlpha: alpha * rank, useRslora: false };
  if (scaling === 'constant') return { loraAlpha: (alpha * rank) / maxRank, useRslora: false };
  return { loraAlpha: alpha, useRslora: scaling === 'sqrt' };
}
