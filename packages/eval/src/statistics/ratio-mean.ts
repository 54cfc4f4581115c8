import type { ExampleLosses } from '../example-losses.ts';

/** `examples`: those with a counted token. `standardError` is NaN for fewer than two of them. */
export interface RatioMean {
  readonly mean: number;
  readonly standardError: number;
  readonly examples: number;
}

/**
 * Mean over tokens where whole examples were drawn: R = Σ S_i / Σ N_i, and by linearization SE(R) = √(n/(n−1)
 * · Σ (S_i − R·N_i)²) / Σ N_i.
 * Tokens of one example are alike, so counting them as independent would make the error far too small
 * (Cochran 1977, 6.3; Miller 2024).
 */
export function ratioMean({ sums, counts }: ExampleLosses): RatioMean {
  let examples = 0;
  let sum = 0;
  let count = 0;
  for (let i = 0; i < counts.length; i++) {
    if (counts[i] === 0) continue;
    examples++;
    sum += sums[i]!;
    count += counts[i]!;
  }
  const mean = sum / count;
  let squares = 0;
  for (let i = 0; i < counts.length; i++) if (counts[i] !== 0) squares += (sums[i]! - mean * counts[i]!) ** 2;
  return {
    mean,
    examples,
    standardError: examples < 2 ? NaN : Math.sqrt((examples / (examples - 1)) * squares) / count,
  };
}
