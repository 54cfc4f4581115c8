/**
 * Numbers of one row that share a scale in an 8-bit optimizer state; the last block of a row may be shorter.
 */
export const STATE_BLOCK_SIZE = 256;

/**
 * Blocks of a row. They restart at every row, so that some rows of a state are a slice of its codes and
 * scales, and training them touches no other row.
 */
export const stateBlocks = (columns: number): number => Math.ceil(columns / STATE_BLOCK_SIZE);

/** Float32 midpoints between neighbouring levels of a rising map: 255 of them. */
export function codeLimits(map: ArrayLike<number>): Float32Array {
  return Float32Array.from({ length: map.length - 1 }, (_, code) => (map[code] + map[code + 1]) / 2);
}

/** The code of the level nearest to `x`; on a limit the lower one. */
function nearestCode(limits: Float32Array, x: number): number {
  let low = 0;
  let high = limits.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x > limits[middle]) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Where one block of a state lies: `count` numbers from element `from` on, with their scale at `block`. */
export interface StateBlock {
  readonly from: number;
  readonly count: number;
  readonly block: number;
}

/** Calls `visit` for every block of a state of [rows, columns], in order. */
export function forEachStateBlock(
  [rows, columns]: readonly number[],
  visit: (block: StateBlock) => void,
): void {
  const perRow = stateBlocks(columns!);
  for (let row = 0; row < rows!; row++) {
    for (let block = 0; block < perRow; block++) {
      const start = block * STATE_BLOCK_SIZE;
      visit({
        from: row * columns! + start,
        count: Math.min(STATE_BLOCK_SIZE, columns! - start),
        block: row * perRow + block,
      });
    }
  }
}

/** An 8-bit state: value i of a block is map[codes[i]] · absmax. */
export interface CodedState {
  readonly codes: Uint8Array;
  readonly absmax: Float32Array;
  readonly map: Float32Array;
  readonly limits: Float32Array;
}

/**
 * Writes a block's numbers as codes, relative to their largest magnitude. `leastCode`: the least code of a
 * number that is not 0 in float32. With 0, a second moment could be rounded to 0 while the first is not; the
 * next step would then divide by the root of a single gradient.
 */
export function encodeStateBlock(
  { codes, absmax, limits }: CodedState,
  { from, count, block }: StateBlock,
  values: Float64Array,
  leastCode = 0,
): void {
  absmax[block] = values.subarray(0, count).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const divisor = absmax[block] || 1;
  for (let i = 0; i < count; i++) {
    const code = nearestCode(limits, Math.fround(values[i] / divisor));
    codes[from + i] = Math.fround(values[i]) === 0 ? code : Math.max(code, leastCode);
  }
}
