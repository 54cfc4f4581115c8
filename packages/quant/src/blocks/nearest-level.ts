/**
 * A codebook prepared for searching: sorted levels, the limits between neighbours, and the code of each
 * position.
 */
export interface LevelSearch {
  /** Float32 midpoints between neighbouring levels: [levels − 1] */
  readonly limits: Float32Array;
  /** Code by position. Equal levels (the two zeros of FP4) keep the order of their codes. */
  readonly codes: Uint8Array;
}

/** Sorts a codebook of 2ⁿ levels and computes its limits. */
export function levelSearch(levels: ArrayLike<number>): LevelSearch {
  const codes = Uint8Array.from(
    Array.from({ length: levels.length }, (_, code) => code).sort((a, b) => levels[a] - levels[b]),
  );
  const limits = new Float32Array(levels.length - 1);
  for (let place = 0; place < limits.length; place++)
    limits[place] = (levels[codes[place]] + levels[codes[place + 1]]) / 2;
  return { limits, codes };
}

/**
 * The code of the level nearest to `x` (a float32); on a limit the lower level, as in bitsandbytes. Binary
 * search.
 */
export function nearestLevel({ limits, codes }: LevelSearch, x: number): number {
  let place = 0;
  for (let half = codes.length >> 1; half > 0; half >>= 1) if (x > limits[place + half - 1]) place += half;
  return codes[place];
}
