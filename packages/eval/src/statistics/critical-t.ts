import { studentTPValue } from './student-t-p-value.ts';

/** Halvings of an interval: float64 has no more digits. */
const HALVINGS = 60;

/**
 * The t ≥ 0 that has this two-sided p-value (`studentTPValue`), to about 15 digits; NaN without degrees of
 * freedom.
 *
 * @example
 * criticalT(0.05, 10); // 2.228, to three decimals
 */
export function criticalT(pValue: number, degreesOfFreedom: number): number {
  if (degreesOfFreedom < 1) return NaN;
  let high = 1;
  while (studentTPValue(high, degreesOfFreedom) > pValue) high *= 2;
  let low = 0;
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (studentTPValue(middle, degreesOfFreedom) > pValue) low = middle;
    else high = middle;
  }
  return high;
}
