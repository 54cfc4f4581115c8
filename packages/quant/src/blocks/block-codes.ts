import { levelsOf, type QuantizationKind } from '../codebooks/levels-of.ts';
import { levelSearch, nearestLevel, type LevelSearch } from './nearest-level.ts';

/**
 * The smallest divisor, as in bitsandbytes: 1 / 1e-38 is a finite float32, so blocks of zeros or tiny numbers
 * give neither infinity nor NaN.
 */
export const SMALLEST_DIVISOR = Math.fround(1e-38);

/**
 * Scales numbers of one block to [−1, 1] in float32, as the CPU code of bitsandbytes: full blocks are
 * multiplied by the rounded reciprocal, a short last block is divided.
 */
export function normalizer(absmax: number, isFullBlock: boolean): (value: number) => number {
  const divisor = Math.max(absmax, SMALLEST_DIVISOR);
  const reciprocal = Math.fround(1 / divisor);
  return isFullBlock ? (value) => Math.fround(value * reciprocal) : (value) => Math.fround(value / divisor);
}

/**
 * Packed 4-bit codes of a flat array for given block scales.
 *
 * values: [n]   absmax: [blocks]   →   [(n + 1) >> 1], padded with the code of zero
 */
export function blockCodes(
  kind: QuantizationKind,
  values: Float32Array,
  absmax: Float32Array,
  blockSize: number,
): Uint8Array {
  const packed = new Uint8Array((values.length + 1) >>> 1);
  const search = levelSearch(levelsOf(kind));
  for (let block = 0; block < absmax.length; block++)
    packBlock(packed, values, search, { from: block * blockSize, blockSize, absmax: absmax[block] });
  return packed;
}

/**
 * Packs one block. `from` is even, because block sizes are. 28.7 million weights take 1.0 s (Node 20, one
 * core of a Zen 4 server).
 */
function packBlock(
  packed: Uint8Array,
  values: Float32Array,
  search: LevelSearch,
  { from, blockSize, absmax }: { from: number; blockSize: number; absmax: number },
): void {
  const end = Math.min(from + blockSize, values.length);
  const normalize = normalizer(absmax, end - from === blockSize);
  for (let i = from; i < end; i += 2) {
    const high = nearestLevel(search, normalize(values[i]));
    const low = nearestLevel(search, i + 1 < end ? normalize(values[i + 1]) : 0);
    packed[i >>> 1] = (high << 4) | low;
  }
}
