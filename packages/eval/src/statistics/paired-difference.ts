import { assertArgument } from '@qdylora/contract';
import type { ExampleLosses } from '../example-losses.ts';
import { ratioMean } from './ratio-mean.ts';
import { studentTwoSided } from './student-t.ts';

/**
 * `mean`: loss of the first minus loss of the second, per token. `pValue`: two-sided, for "no difference".
 */
export interface PairedDifference {
  readonly mean: number;
  readonly standardError: number;
  readonly pValue: number;
}

/**
 * Compares two models on the same examples, pair by pair, so that what makes an example hard cancels (Miller
 * 2024): the ratio mean of the differences, and Student's t with n − 1 degrees of freedom. One example cannot
 * tell anything: p = 1.
 *
 * @throws QdyloraError BAD_ARGUMENT where the two were not measured on the same tokens.
 */
export function pairedDifference(first: ExampleLosses, second: ExampleLosses): PairedDifference {
  assertArgument(
    first.counts.length === second.counts.length &&
      first.counts.every((count, i) => count === second.counts[i]),
    'paired-difference',
    'expected the same examples on both sides, got others',
  );
  const { mean, standardError, examples } = ratioMean({
    sums: first.sums.map((sum, i) => sum - second.sums[i]!),
    counts: first.counts,
  });
  if (examples < 2) return { mean, standardError, pValue: 1 };
  if (standardError === 0) return { mean, standardError, pValue: mean === 0 ? 1 : 0 };
  return { mean, standardError, pValue: studentTwoSided(mean / standardError, examples - 1) };
}
