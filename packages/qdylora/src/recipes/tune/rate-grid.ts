import type { Candidate } from './halve-candidates.ts';

export interface GridOptions {
  readonly learningRate: number;
  readonly loraAlpha: number;
  /** Number of rates. */
  readonly rates: number;
  /** Each rate over the one below it. */
  readonly ratio: number;
  /** Also try half and twice the alpha with every rate. */
  readonly alpha: boolean;
}

/** Digits of a rate: 2e-4 · 2⁻² is 5e-5, without the dust of binary fractions. */
const DIGITS = 6;

const rounded = (value: number): number => Number(value.toPrecision(DIGITS));

/** The candidate `exponent` steps of the grid above the run's rate. */
export const candidateAt = (
  { learningRate, ratio }: Pick<GridOptions, 'learningRate' | 'ratio'>,
  exponent: number,
  loraAlpha: number,
): Candidate => ({ exponent, learningRate: rounded(learningRate * ratio ** exponent), loraAlpha });

/**
 * A geometric grid around the run's rate, one rate longer above it than below where their number is even:
 * six rates of ratio 2 are ¼, ½, 1, 2, 4 and 8 times it.
 */
export function rateGrid(options: GridOptions): Candidate[] {
  const { rates, loraAlpha, alpha } = options;
  const lowest = -Math.floor((rates - 1) / 2);
  const alphas = alpha ? [loraAlpha / 2, loraAlpha, loraAlpha * 2].map(rounded) : [loraAlpha];
  return Array.from({ length: rates }, (_, i) => lowest + i).flatMap((exponent) =>
    alphas.map((value) => candidateAt(options, exponent, value)),
  );
}
