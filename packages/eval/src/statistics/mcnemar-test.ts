import { assertArgument } from '@qdylora/contract';
import type { ExampleLosses } from '../example-losses.ts';
import { logGamma } from './log-gamma.ts';
import { differencesOf, type PairedDifference } from './paired-t-test.ts';
import { ratioEstimate } from './ratio-estimate.ts';

/**
 * McNemar's exact test of two models that are right or wrong on each of the same examples, with the mid-p
 * correction (`midPValue`). Examples on which both are right, or both are wrong, say nothing.
 *
 * Mean and standard error are those of `pairedTTest`; only the p-value differs. It needs no assumption on how
 * examples were sampled: if the models are equally good, each discordant example is a fair coin. So it also
 * holds for documents of several subjects.
 *
 * @param first a loss of each example, all counts 1; losses of two models differ by −1, 0 or 1
 * @throws QdyloraError BAD_ARGUMENT for other differences, or if the two were not measured on the same
 * examples
 * @example
 * const counts = new Float64Array(4).fill(1);
 * const losses = (...sums: number[]) => ({ sums: Float64Array.from(sums), counts });
 * mcNemarTest(losses(0, 0, 0, 1), losses(1, 1, 1, 1)).pValue; // 0.125: 3 discordant examples, all one way
 */
export function mcNemarTest(first: ExampleLosses, second: ExampleLosses): PairedDifference {
  const differences = differencesOf('mcnemar-test', first, second);
  const countOf = (value: number): number => differences.sums.filter((sum) => sum === value).length;
  const worse = countOf(1);
  const better = countOf(-1);
  assertArgument(
    differences.counts.every((count) => count === 1) &&
      worse + better + countOf(0) === differences.sums.length,
    'mcnemar-test',
    'Each example must be right or wrong: two losses may differ by −1, 0 or 1 only.',
    'Use pairedTTest for other scores.',
  );
  const { mean, standardError } = ratioEstimate(differences);
  return { mean, standardError, pValue: midPValue(worse, better) };
}

/**
 * Two-sided mid-p value of McNemar's test from the discordant counts. A difference of all m discordant
 * examples in one direction has p = 2⁻ᵐ.
 *
 *     p = 2 · P(X < m) + P(X = m)    X ~ Binomial(b + c, 1/2), m = min(b, c)
 *
 * The plain exact test counts P(X = m) twice and is too careful: its error rate is often half of α.
 *
 * Source: Fagerland, Lydersen and Laake, The McNemar test for binary matched-pairs data (2013).
 */
export function midPValue(b: number, c: number): number {
  if (b === c) return 1;
  const n = b + c;
  const m = Math.min(b, c);
  let probability = Math.exp(logGamma(n + 1) - logGamma(m + 1) - logGamma(n - m + 1) - n * Math.LN2);
  let pValue = probability;
  for (let k = m; k > 0; k--) {
    probability *= k / (n - k + 1); // from P(X = k) to P(X = k − 1)
    pValue += 2 * probability;
  }
  return Math.min(1, pValue);
}

/** Discordant examples that are significant if all point in one direction: the least m with 2⁻ᵐ < α. */
export const fewestDiscordant = (alpha: number): number => Math.floor(Math.log2(1 / alpha)) + 1;
