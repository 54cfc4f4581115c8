import { QdyloraError } from '@qdylora/contract';

/**
 * The factor on B·A at rank b of R.
 * - `paper`: alpha / b, as in DyLoRA and QDyLoRA. Small ranks learn fast, large ones slowly, so the best rank
 *   tends to be small.
 * - `sqrt`: alpha / √b, rank-stabilized (Kalajdzievski 2023).
 * - `uniform`: alpha, at every rank. A row counts the same at every rank, so a prefix of a good adapter can
 *   be good too. Rows that only large ranks use then need smaller steps: row rates `inverse_sqrt`.
 * - `tapered`: alpha·(1 + TAPER / b). Nearly `uniform`, but small ranks get more: a row that was trained
 *   under `uniform` is too small if it is used alone.
 * - `constant`: alpha / R, at every rank: `uniform` with alpha divided by the largest rank. An ordinary LoRA
 *   adapter of rank R has this scale.
 */
export type RankScaling = 'paper' | 'sqrt' | 'uniform' | 'tapered' | 'constant';
/** Every `RankScaling`, for checks and messages. */
export const RANK_SCALINGS = [
  'paper',
  'sqrt',
  'uniform',
  'tapered',
  'constant',
] as const satisfies readonly RankScaling[];

/** Scales that are the same at every rank, or nearly so. */
export const FLAT_SCALINGS: readonly RankScaling[] = ['uniform', 'tapered', 'constant'];

/**
 * How much more a row counts at rank 1 under `tapered`: the best of 0, 0.25, 0.75 and 2 at ranks 1, 8 and 64
 * (SmolLM2-135M on GSM8K, November 2026; docs/research/how-the-default-was-found.md).
 */
const TAPER = 0.75;

/** The factor on B·A at `rank`.  @throws QdyloraError BAD_ARGUMENT for an unknown scaling. */
export function scaleAt(scaling: RankScaling, alpha: number, rank: number, maxRank: number): number {
  switch (scaling) {
    case 'paper':
      return alpha / rank;
    case 'sqrt':
      return alpha / Math.sqrt(rank);
    case 'uniform':
      return alpha;
    case 'tapered':
      return (alpha * (rank + TAPER)) / rank;
    case 'constant':
      return alpha / maxRank;
    default:
      throw unknownScaling(scaling);
  }
}

/**
 * The same factor in the keys of PEFT, for an adapter of rank b: PEFT divides lora_alpha by r, or by √r with
 * use_rslora.  @throws QdyloraError BAD_ARGUMENT for an unknown scaling.
 */
export function peftScaling(
  scaling: RankScaling,
  alpha: number,
  rank: number,
  maxRank: number,
): { loraAlpha: number; useRslora: boolean } {
  switch (scaling) {
    case 'paper':
      return { loraAlpha: alpha, useRslora: false };
    case 'sqrt':
      return { loraAlpha: alpha, useRslora: true };
    case 'uniform':
      return { loraAlpha: alpha * rank, useRslora: false };
    case 'tapered':
      return { loraAlpha: alpha * (rank + TAPER), useRslora: false };
    case 'constant':
      return { loraAlpha: (alpha * rank) / maxRank, useRslora: false };
    default:
      throw unknownScaling(scaling);
  }
}

const unknownScaling = (scaling: unknown): QdyloraError =>
  new QdyloraError('BAD_ARGUMENT', {
    where: 'lora_scaling',
    problem: `the scaling must be one of ${RANK_SCALINGS.join(', ')} (got ${String(scaling)})`,
  });
