import { Z_95 } from './wilson-interval.ts';

/** z(0.975) + z(0.8): standard errors that a two-sided test at 5 % detects with power 80 %. */
const DETECTABLE_STANDARD_ERRORS = Z_95 + 0.841621;

/**
 * Minimum detectable difference of paired comparisons, at the one with the largest standard error: a true
 * difference of this size is found with power 80 % at α = 5 % for one comparison. Null without comparisons.
 *
 *     (z(0.975) + z(0.8)) · SE ≈ 2.8 · √(discordance / n) for 0/1 scores
 */
export const detectableDifference = (standardErrors: readonly number[]): number | null =>
  standardErrors.length === 0 ? null : DETECTABLE_STANDARD_ERRORS * Math.max(...standardErrors);
