/**
 * Largest probability, 1 − (1/30 + 1/32) / 2, with the seven digits of bitsandbytes. More digits change the
 * last bits.
 */
const TOP_PROBABILITY = 0.9677083;
const POSITIVE_LEVELS = 8;
const NEGATIVE_LEVELS = 7;

/**
 * NF4 from its definition: standard-normal quantiles at evenly spaced probabilities, eight above zero and
 * seven below, with an exact zero between them, scaled so that the largest is 1. Probabilities and quantiles
 * are rounded to float32 where bitsandbytes (NumPy, SciPy, PyTorch) rounds them.
 *
 * @example deriveNormalFloat(); // equals NF4_LEVELS, bit for bit
 */
export function deriveNormalFloat(): number[] {
  const positive = probabilities(POSITIVE_LEVELS).map(normalQuantile).map(Math.fround);
  const negative = probabilities(NEGATIVE_LEVELS)
    .map(normalQuantile)
    .map((x) => -Math.fround(x));
  const levels = [...negative, 0, ...positive].sort((a, b) => a - b);
  const largest = levels.at(-1)!;
  return levels.map((level) => Math.fround(level / largest));
}

/**
 * `count` probabilities from the top down to, but without, one half: `linspace(top, 0.5, count + 1)` in
 * float32, whose second half counts back from the end.
 */
function probabilities(count: number): number[] {
  const top = Math.fround(TOP_PROBABILITY);
  const step = Math.fround(Math.fround(0.5 - top) / count);
  const middle = Math.floor((count + 1) / 2);
  return Array.from({ length: count }, (_, i) =>
    Math.fround(i < middle ? top + step * i : 0.5 - step * (count - i)),
  );
}

const density = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

/**
 * Φ(x) = ½ + φ(x) · (x + x³/3 + x⁵/15 + …), which converges fast for the |x| < 2 that are needed here
 * (Marsaglia 2004).
 */
function normalDistribution(x: number): number {
  let term = x;
  let sum = x;
  for (let k = 3; Math.abs(term) > (Number.EPSILON * Math.abs(sum)) / 4; k += 2) {
    term *= (x * x) / k;
    sum += term;
  }
  return 0.5 + sum * density(x);
}

/**
 * The x with Φ(x) = p, by Newton's method from 0: Φ is concave above 0, so it climbs without overshooting; 8
 * steps reach float64 for p ≤ 0.97, and 4 are a margin.
 */
function normalQuantile(p: number): number {
  let x = 0;
  for (let step = 0; step < 12; step++) x -= (normalDistribution(x) - p) / density(x);
  return x;
}
