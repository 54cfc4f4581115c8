import { assertArgument } from '@qdylora/contract';
import type { ExampleLosses } from '../example-losses.ts';
import { ratioEstimate } from './ratio-estimate.ts';
import { studentTPValue } from './student-t-p-value.ts';

/** Result of a paired comparison of two models. */
export interface PairedDifference {
  /** First minus second: of losses in nats per token, or of scores in their own unit. */
  readonly mean: number;
  readonly standardError: number;
  /** Two-sided, for the null hypothesis of no difference. */
  readonly pValue: number;
}

/**
 * Paired t-test of two models on the same examples.
 *
 *     d̄ = ratio estimate of the differences Sᵢ − Tᵢ    (`ratioEstimate`)
 *     t = d̄ / SE(d̄), with n − 1 degrees of freedom
 *
 * Pairing removes the variance that both models share because some examples are harder than others (Miller,
 * Adding Error Bars to Evals, 2024). A single example shows nothing: its p-value is 1.
 *
 * @throws QdyloraError BAD_ARGUMENT if the two were not measured on the same tokens
 */
export function pairedTTest(first: ExampleLosses, second: ExampleLosses): PairedDifference {
  const { mean, standardError, examples } = ratioEstimate(differencesOf('paired-t-test', first, second));
  if (examples < 2) return { mean, standardError, pValue: 1 };
  if (standardError === 0) return { mean, standardError, pValue: mean === 0 ? 1 : 0 };
  return { mean, standardError, pValue: studentTPValue(mean / standardError, examples - 1) };
}

/**
 * Losses of the first model minus losses of the second, example by example.
 *
 * @throws QdyloraError BAD_ARGUMENT if the two were not measured on the same tokens
 */
export function differencesOf(where: string, first: ExampleLosses, second: ExampleLosses): ExampleLosses {
  assertArgument(
    first.counts.length === second.counts.length &&
      first.counts.every((count, i) => count === second.counts[i]),
    where,
    'The two models were not measured on the same examples: their token counts differ.',
    'Measure both on the same examples.',
  );
  return { sums: first.sums.map((sum, i) => sum - second.sums[i]), counts: first.counts };
}
