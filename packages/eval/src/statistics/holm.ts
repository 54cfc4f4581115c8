/**
 * Holm's step-down adjustment (Holm 1979): rejecting where the adjusted p < α makes a wrong rejection among
 * all of them less likely than α, whatever their dependence. p_(k) becomes max over j ≤ k of min(1, (m − j +
 * 1)·p_(j)). Results in the order given; NaN stays NaN and counts for nothing.
 */
export function holmAdjusted(pValues: readonly number[]): number[] {
  const order = [...pValues.keys()]
    .filter((i) => !Number.isNaN(pValues[i]))
    .sort((a, b) => pValues[a]! - pValues[b]!);
  const adjusted = new Array<number>(pValues.length).fill(NaN);
  let largest = 0;
  order.forEach((index, place) => {
    largest = Math.max(largest, Math.min(1, (order.length - place) * pValues[index]!));
    adjusted[index] = largest;
  });
  return adjusted;
}
