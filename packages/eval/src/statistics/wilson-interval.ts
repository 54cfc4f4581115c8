import type { ExampleLosses } from '../example-losses.ts';
import { ratioEstimate } from './ratio-estimate.ts';

/** Ends of a confidence interval. */
export type ConfidenceInterval = readonly [low: number, high: number];

/** z(0.975): standard errors on each side of a 95 % interval. */
export const Z_95 = 1.959964;

/**
 * Wilson's 95 % confidence interval of a proportion. It stays within [0, 1], and is not a point at 0 and 1.
 *
 *     (p + z²/2n ± z·√(p(1 − p)/n + z²/4n²)) / (1 + z²/n)    z = 1.96
 *
 * Source: Wilson, Probable Inference, the Law of Succession, and Statistical Inference (1927).
 *
 * @param size of the sample; need not be whole
 * @example
 * wilsonInterval(0.5, 100); // [0.404, 0.596], to three decimals
 */
export function wilsonInterval(proportion: number, size: number): ConfidenceInterval {
  const square = Z_95 ** 2 / size;
  const centre = proportion + square / 2;
  const half = Z_95 * Math.sqrt((proportion * (1 - proportion)) / size + square / (4 * size));
  const within = (value: number): number => Math.min(1, Math.max(0, value / (1 + square)));
  return [within(centre - half), within(centre + half)];
}

/**
 * The number of independent examples that would estimate a proportion as well as clustered ones do: never
 * more than there are.
 *
 *     n / max(1, deff)    deff = SE² / (p(1 − p)/n): design effect, SE clustered (`ratioEstimate`)
 *
 * With fewer than two clusters, or if all examples are right or all wrong, the clusters say nothing.
 *
 * Source: Dean and Pagano, Evaluating Confidence Interval Methods for Binomial Proportions in Clustered
 * Surveys (2015).
 *
 * @param correct 0 or 1 for each example
 * @param clusters a number for the cluster of each example
 */
export function effectiveSize(correct: ArrayLike<number>, clusters: readonly number[]): number {
  const size = clusters.length;
  const { mean, standardError, examples } = ratioEstimate(byCluster(correct, clusters));
  const variance = mean * (1 - mean);
  if (examples < 2 || variance === 0 || standardError === 0) return size;
  return Math.min(size, variance / standardError ** 2);
}

/** Sums and counts of each cluster. */
function byCluster(values: ArrayLike<number>, clusters: readonly number[]): ExampleLosses {
  const places = new Map([...new Set(clusters)].map((cluster, place) => [cluster, place]));
  const sums = new Float64Array(places.size);
  const counts = new Float64Array(places.size);
  clusters.forEach((cluster, i) => {
    sums[places.get(cluster)!] += values[i];
    counts[places.get(cluster)!]++;
  });
  return { sums, counts };
}
