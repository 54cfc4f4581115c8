import type { ExampleLosses } from '../example-losses.ts';

/** A ratio estimate with its standard error; both in nats per token for losses. */
export interface RatioEstimate {
  readonly mean: number;
  /** NaN for fewer than two examples. */
  readonly standardError: number;
  /** Examples with at least one counted token: the sample size n. */
  readonly examples: number;
}

/**
 * Ratio estimator of the mean loss per token, with a standard error clustered by example.
 *
 *     R     = Σ Sᵢ / Σ Nᵢ                               Sᵢ: summed loss of example i, Nᵢ: its counted tokens
 *     SE(R) = √( n/(n − 1) · Σ (Sᵢ − R·Nᵢ)² ) / Σ Nᵢ    by linearization
 *
 * The tokens of one example are correlated. Treating them as independent would make the error far too small.
 *
 * Sources: Cochran, Sampling Techniques (1977), section 6.3; Miller, Adding Error Bars to Evals (2024).
 *
 * @example
 * ratioEstimate({ sums: Float64Array.of(1, 4), counts: Float64Array.of(1, 4) }).mean; // 1
 */
export function ratioEstimate({ sums, counts }: ExampleLosses): RatioEstimate {
  let examples = 0;
  let totalLoss = 0;
  let totalTokens = 0;
  for (let i = 0; i < counts.length; i++) {
    if (counts[i] === 0) continue;
    examples++;
    totalLoss += sums[i];
    totalTokens += counts[i];
  }
  const mean = totalLoss / totalTokens;
  let squaredResiduals = 0;
  for (let i = 0; i < counts.length; i++) {
    if (counts[i] !== 0) squaredResiduals += (sums[i] - mean * counts[i]) ** 2;
  }
  const standardError =
    examples < 2 ? NaN : Math.sqrt((examples / (examples - 1)) * squaredResiduals) / totalTokens;
  return { mean, standardError, examples };
}
