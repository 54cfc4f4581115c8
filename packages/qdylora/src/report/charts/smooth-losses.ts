/**
 * Steps that a mean is taken over: an odd number, about a twelfth of the run; 1 for a run too short to be
 * smoothed.
 */
export const smoothingWindow = (steps: number): number =>
  steps < 12 ? 1 : 2 * Math.max(1, Math.round(steps / 24)) + 1;

/**
 * Mean over the steps around each step; losses that are not finite are ignored, NaN where none is left. Near
 * the start the window is narrower on both sides, so that a steep fall is not flattened. Near the end only
 * later steps are missing, so that the last mean is not a single step.
 *
 * @param losses [steps]
 */
export function smoothLosses(losses: readonly number[], window: number): number[] {
  const half = (window - 1) / 2;
  const sums = [0];
  const counts = [0];
  for (const [i, loss] of losses.entries()) {
    const isCounted = Number.isFinite(loss);
    sums.push(sums[i] + (isCounted ? loss : 0));
    counts.push(counts[i] + (isCounted ? 1 : 0));
  }
  return losses.map((_, i) => {
    const from = i - Math.min(half, i);
    const to = Math.min(losses.length, i + Math.min(half, i) + 1);
    return (sums[to] - sums[from]) / (counts[to] - counts[from]);
  });
}
