/** The parameters of Llama 3's rotary scaling, without its base. */
export interface Llama3Rope {
  readonly factor: number;
  readonly lowFreqFactor: number;
  readonly highFreqFactor: number;
  readonly originalPositions: number;
}

/**
 * Frequencies scaled by Llama 3's rule: those of long wavelengths are divided by the factor, those of short
 * ones are kept, and those between are interpolated.
 *
 * @param plain the frequencies θ^(−2p / headDim) without scaling: [headDim / 2]
 */
export function llama3Frequencies(
  plain: Float64Array,
  { factor, lowFreqFactor: low, highFreqFactor: high, originalPositions }: Llama3Rope,
): Float64Array {
  return plain.map((frequency) => {
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength > originalPositions / low) return frequency / factor;
    if (wavelength < originalPositions / high) return frequency;
    const smooth = (originalPositions / wavelength - low) / (high - low);
    return ((1 - smooth) * frequency) / factor + smooth * frequency;
  });
}

/** What `llama3Frequencies` divides each frequency by.  → [headDim / 2] */
export function llama3Divisors(rope: Llama3Rope, theta: number, headDim: number): Float32Array {
  const plain = Float64Array.from({ length: headDim / 2 }, (_, p) => theta ** ((-2 * p) / headDim));
  const scaled = llama3Frequencies(plain, rope);
  return Float32Array.from(plain, (frequency, p) => frequency / scaled[p]);
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
