import { hostData, isHalfDType, shapeText, widenHalves, type ArrayView } from '@qdylora/contract';
import type { Bound } from './tolerance.ts';

/** The values of a view as numbers; types of two bytes are widened. */
export const numbersOf = (view: ArrayView): ArrayLike<number> =>
  isHalfDType(view.dtype) ? widenHalves(view.dtype, hostData(view) as Uint16Array) : hostData(view);

/** An output of a call, and what it should be. */
export interface ComparedOutput {
  readonly name: string;
  readonly got: ArrayView;
  readonly want: ArrayView;
}

/**
 * Describes the element that is furthest beyond its bound; null if all are within it. NaN agrees with NaN, ∞
 * with the same ∞. Where nothing is allowed, −0 is not 0.
 */
export function describeDifference(
  callText: string,
  { name, got, want }: ComparedOutput,
  bound: Bound,
): string | null {
  const g = numbersOf(got);
  const w = numbersOf(want);
  let worst = -1;
  let excess = 1;
  for (let i = 0; i < w.length; i++) {
    if (Object.is(g[i], w[i])) continue;
    const allowed = bound(name, i, w[i]);
    if (g[i] === w[i] && allowed > 0) continue; // 0 and −0
    const ratio = Math.abs(g[i] - w[i]) / allowed;
    if (ratio <= excess) continue; // NaN is not ≤ anything
    worst = i;
    excess = Number.isNaN(ratio) ? Infinity : ratio;
    if (excess === Infinity) break;
  }
  if (worst < 0) return null;
  return (
    `${callText}: output ${name} ${shapeText(want.shape)} at ${worst}: got ${g[worst]}, want ${w[worst]}, ` +
    `off by ${Math.abs(g[worst] - w[worst])} where ${bound(name, worst, w[worst])} is allowed`
  );
}

/** Describes the first element whose bits differ; null if there is none. */
export function describeBitDifference(callText: string, { name, got, want }: ComparedOutput): string | null {
  const g = hostData(got);
  const w = hostData(want);
  for (let i = 0; i < w.length; i++) {
    if (!Object.is(g[i], w[i]))
      return (
        `${callText}: output ${name} ${shapeText(want.shape)} at ${i}: got ${g[i]}, want the same bits as ` +
        `${w[i]}`
      );
  }
  return null;
}
