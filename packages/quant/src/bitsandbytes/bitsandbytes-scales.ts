import { blockAbsmax } from '../blocks/block-absmax.ts';
import { signedDynamicMap } from '../codebooks/dynamic-8bit.ts';
import {
  assertScales,
  DIFFERENCES,
  NESTED_BLOCK_SIZE,
  type DoubleQuantized,
} from '../blocks/double-quantize.ts';
import { levelSearch, nearestLevel } from '../blocks/nearest-level.ts';

/**
 * Rounding of scales to 8 bits: to the exact nearest level (`doubleQuantize`), or to the bytes of the CPU
 * library of bitsandbytes.
 */
export const SCALE_ROUNDINGS = ['nearest', 'bitsandbytes'] as const;
/** One of `SCALE_ROUNDINGS`: how block scales are rounded to 8 bits. */
export type ScaleRounding = (typeof SCALE_ROUNDINGS)[number];

/**
 * Number of steps on [−1, 1] to which the CPU library of bitsandbytes rounds before it searches its codebook.
 */
const PLACES = 65536;

/**
 * `doubleQuantize` with the bytes of the CPU library of bitsandbytes, which are not always the nearest. It
 * rounds difference · (1 / nested absmax) to 65,536 steps first: 0 becomes 2.1e-5, and about one code in 600
 * is a neighbour of the nearest. The offset is the float32 mean of PyTorch on one thread. With more threads,
 * PyTorch splits sums of 32,768 scales and more, so its offset depends on their number.  absmax: [blocks]
 *
 * @throws QdyloraError BAD_ARGUMENT for scales that are no Float32Array; NON_FINITE
 */
export function doubleQuantizeAsBitsandbytes(absmax: Float32Array): DoubleQuantized {
  assertScales(absmax);
  const offset = torchMean(absmax);
  const differences = absmax.map((scale) => scale - offset);
  const nested = blockAbsmax(differences, NESTED_BLOCK_SIZE, DIFFERENCES);
  const map = signedDynamicMap();
  const search = levelSearch(map);
  // Infinite below 2.94e-39: as theirs, positive differences then get code 255, the others 0 (0 · ∞ is NaN).
  const reciprocals = nested.map((largest) => 1 / largest);
  const codes = new Uint8Array(absmax.length);
  for (let i = 0; i < codes.length; i++) {
    const place = placeOf(Math.fround(differences[i] * reciprocals[Math.floor(i / NESTED_BLOCK_SIZE)]));
    codes[i] = nearestLevel(search, Math.fround(-1 + (2 * place) / (PLACES - 1)));
  }
  return { codes, absmax: nested, map, offset };
}

/** x in [−1, 1] → 0 … 65535, each step rounded to float32. */
const placeOf = (x: number): number =>
  Math.floor(Math.fround(Math.fround(Math.fround(Math.fround(x + 1) * 0.5) * (PLACES - 1)) + 0.5));

/** Numbers in one vector of PyTorch's sum on x86-64, with AVX2 and with AVX-512. */
const LANES = 8;

/** The float32 mean of PyTorch on one thread: float32 sums in this order. */
export function torchMean(values: Float32Array): number {
  const width = values.length < LANES ? 1 : LANES;
  const whole = values.length - (values.length % width);
  let total = 0;
  for (const value of [...values.subarray(whole), ...laneSums(values.subarray(0, whole), width)])
    total = Math.fround(total + value);
  return Math.fround(total / values.length);
}

/** Parallel sums, and levels of them: a level is added to the next one after every 2^power additions. */
const ROWS = 4;
const LEVELS = 4;
const LEAST_POWER = 4;

/** [count · width] → [width]: the sum of each lane. */
function laneSums(values: Float32Array, width: number): Float32Array {
  const row = ROWS * width;
  const rows = Math.floor(values.length / row);
  const step = 2 ** Math.max(LEAST_POWER, Math.floor(Math.ceil(Math.log2(Math.max(rows, 1))) / LEVELS));
  const levels = Array.from({ length: LEVELS }, () => new Float32Array(row));
  for (let done = 1; done <= rows; done++) {
    addTo(levels[0], values, (done - 1) * row);
    for (let level = 1; level < LEVELS && done % step ** level === 0; level++) {
      addTo(levels[level], levels[level - 1]);
      levels[level - 1].fill(0);
    }
  }
  for (const level of levels.slice(1)) addTo(levels[0], level);
  const sums = levels[0].slice(0, width);
  for (let at = rows * row; at < values.length; at += width) addTo(sums, values, at);
  for (let at = width; at < row; at += width) addTo(sums, levels[0], at);
  return sums;
}

function addTo(sums: Float32Array, values: Float32Array, at = 0): void {
  for (let i = 0; i < sums.length; i++) sums[i] += values[at + i];
}
