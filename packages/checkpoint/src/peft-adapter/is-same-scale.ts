/** Largest relative difference of a scale that was rounded through alpha. */
const SCALE_TOLERANCE = 1e-6;

/** True if two scales of an adapter are one number, but for rounding. */
export const isSameScale = (scale: number, other: number): boolean =>
  Math.abs(scale - other) <= SCALE_TOLERANCE * Math.abs(scale);
