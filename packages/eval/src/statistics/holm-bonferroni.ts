/**
 * p-values adjusted by the Holm–Bonferroni step-down method, in the order given.
 *
 *     adjusted p₍ₖ₎ = max over j ≤ k of min(1, (m − j + 1) · p₍ⱼ₎)    p₍₁₎ ≤ … ≤ p₍ₘ₎: the sorted p-values
 *
 * Rejecting where the adjusted p-value is below α keeps the family-wise error rate below α, whatever the
 * dependence between the tests. NaN stays NaN and does not count as a test.
 *
 * Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure (1979).
 *
 * @example
 * holmBonferroni([0.01, 0.04, 0.03, 0.005]); // [0.03, 0.06, 0.06, 0.02]
 */
export function holmBonferroni(pValues: readonly number[]): number[] {
  const order = [...pValues.keys()]
    .filter((i) => !Number.isNaN(pValues[i]))
    .sort((a, b) => pValues[a] - pValues[b]);
  const adjusted = new Array<number>(pValues.length).fill(NaN);
  let largest = 0;
  order.forEach((index, place) => {
    largest = Math.max(largest, Math.min(1, (order.length - place) * pValues[index]));
    adjusted[index] = largest;
  });
  return adjusted;
}
