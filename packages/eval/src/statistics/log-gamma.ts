/** Coefficients of Lanczos' approximation with g = 7, n = 9 (Godfrey); relative error below 1e-15. */
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** ln Γ(z) for z ≥ 1/2, to about 1e-15 of the larger of its value and 1. */
export function logGamma(z: number): number {
  const base = z + 6.5;
  const sum = LANCZOS.slice(1).reduce((total, c, i) => total + c / (z + i), LANCZOS[0]);
  return 0.5 * Math.log(2 * Math.PI) + (z - 0.5) * Math.log(base) - base + Math.log(sum);
}
