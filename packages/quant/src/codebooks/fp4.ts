/**
 * Magnitudes by the three low bits, before scaling to 1: two exponent bits and one mantissa bit, in the bit
 * order of bitsandbytes (not sorted).
 */
const MAGNITUDES: readonly number[] = [0, 1 / 16, 8, 12, 4, 6, 2, 3];
const LARGEST = 12;

/**
 * The sixteen FP4 levels by code, each exactly a float32. Codes 8 … 15 are codes 0 … 7 with the sign bit set.
 * Codes 0 and 8 both mean +0.
 */
export const FP4_LEVELS: readonly number[] = [1, -1].flatMap((sign) =>
  MAGNITUDES.map((m) => (m === 0 ? 0 : Math.fround((sign * m) / LARGEST))),
);
