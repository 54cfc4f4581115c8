import { criticalT } from './critical-t.ts';

/**
 * Minimum detectable difference of paired comparisons, at the one with the largest standard error: a true
 * difference of this size is found with power 80 % at α = 5 % for one comparison. Null without comparisons;
 * NaN for fewer than two examples.
 *
 *     (t(0.975) + t(0.8)) · SE    with n − 1 degrees of freedom; ≈ 2.8 · SE for many examples
 *
 * The exact value needs the noncentral distribution; from 5 examples on it is less than 1.2 % larger, with 3
 * examples 5 %.
 *
 * @param examples n, the number that each comparison rests on
 */
export function detectableDifference(standardErrors: readonly number[], examples: number): number | null {
  if (standardErrors.length === 0) return null;
  const degreesOfFreedom = examples - 1;
  return (criticalT(0.05, degreesOfFreedom) + criticalT(0.4, degreesOfFreedom)) * Math.max(...standardErrors);
}
