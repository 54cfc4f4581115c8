/** The parameters of Llama 3's rotary scaling, without its base. */
export interface Llama3Rope {
  readonly factor: number;
  readonly lowFreqFactor: number;
  readonly highFreqFactor: number;
  readonly originalPositions: number;
}

/**
 * Divisors of every frequency by Llama 3's rule: long wavelengths are divided by the factor, short ones by 1,
 * with a ramp between.  → [headDim / 2]
 */
export function llama3Divisors(
  { factor, lowFreqFactor: low, highFreqFactor: high, originalPositions }: Llama3Rope,
  theta: number,
  headDim: number,
): Float32Array {
  return Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * theta ** ((2 * i) / headDim);
    const smooth = (originalPositions / wavelength - low) / (high - low);
    if (wavelength < originalPositions / high) return 1;
    return wavelength > originalPositions / low ? factor : 1 / ((1 - smooth) / factor + smooth);
  });
}

/** Powers of two that `original_max_position_embeddings` may be; 8192 in Llama 3.1 to 3.3. */
const ORIGINAL_POSITIONS = [8192, ...Array.from({ length: 18 }, (_, i) => 2 ** (4 + i))];

/** Divisors in a file were computed in float32. */
const RELATIVE_ERROR = 1e-5;

/**
 * The parameters that give these divisors, with the frequency factors 1 and 4 that all of Meta's models have;
 * null where there are none.
 */
export function llama3Parameters(divisors: Float32Array, theta: number): Llama3Rope | null {
  const factor = divisors.reduce((most, divisor) => Math.max(most, divisor), 1);
  const candidates = ORIGINAL_POSITIONS.map((originalPositions): Llama3Rope => ({
    factor,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalPositions,
  }));
  const fits = (candidate: Llama3Rope): boolean =>
    llama3Divisors(candidate, theta, 2 * divisors.length).every(
      (divisor, i) => Math.abs(divisor / divisors[i] - 1) <= RELATIVE_ERROR,
    );
  return candidates.find(fits) ?? null;
}
