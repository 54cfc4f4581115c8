import { logGamma } from './log-gamma.ts';

/**
 * Two-sided p-value of Student's t distribution; NaN if `t` is NaN.
 *
 *     P(|T| ≥ |t|) = I_x(ν/2, 1/2)    x = ν / (ν + t²), ν: degrees of freedom
 *
 * I_x(a, b) is the regularized incomplete beta function.
 *
 * Source: Press et al., Numerical Recipes, section 6.4; continued fraction by the modified Lentz method.
 *
 * @example
 * studentTPValue(2.228, 10); // 0.05, to four decimals
 */
export function studentTPValue(t: number, degreesOfFreedom: number): number {
  if (Number.isNaN(t)) return NaN;
  if (!Number.isFinite(t)) return 0;
  const square = t * t;
  // x and 1 − x are two quotients: computing 1 − x by subtraction would lose the digits of a small t.
  return regularizedBeta(
    degreesOfFreedom / (degreesOfFreedom + square),
    square / (degreesOfFreedom + square),
    degreesOfFreedom / 2,
    0.5,
  );
}

/**
 * I_x(a, b), with y = 1 − x. The continued fraction converges fast for x < (a + 1) / (a + b + 2); otherwise
 * I_x(a, b) = 1 − I_y(b, a).
 */
function regularizedBeta(x: number, y: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (y <= 0) return 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(y));
  return x < (a + 1) / (a + b + 2)
    ? (front * betaFraction(x, a, b)) / a
    : 1 - (front * betaFraction(y, b, a)) / b;
}

/** Terms of the fraction at most. About √max(a, b) are needed: enough for 10⁸ degrees of freedom. */
const MOST_TERMS = 20_000;

/** The fraction has converged when a term changes it by less than this, a few units of float64 rounding. */
const CONVERGED = 1e-15;

/** Replaces a denominator of zero in Lentz's method. */
const TINY = 1e-300;

/** The continued fraction of the incomplete beta function, by the modified Lentz method. */
function betaFraction(x: number, a: number, b: number): number {
  const nonZero = (value: number): number => (Math.abs(value) < TINY ? TINY : value);
  let c = 1;
  let d = 1 / nonZero(1 - ((a + b) * x) / (a + 1));
  let h = d;
  const extend = (numerator: number): number => {
    d = 1 / nonZero(1 + numerator * d);
    c = nonZero(1 + numerator / c);
    h *= c * d;
    return c * d;
  };
  for (let m = 1; m <= MOST_TERMS; m++) {
    extend((m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)));
    const factor = extend((-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1)));
    if (Math.abs(factor - 1) < CONVERGED) break;
  }
  return h;
}
