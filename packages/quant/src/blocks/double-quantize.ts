import { blockAbsmax } from './block-absmax.ts';
import { normalizer } from './block-codes.ts';
import { signedDynamicMap } from '../codebooks/dynamic-8bit.ts';
import { levelSearch, nearestLevel } from './nearest-level.ts';

/**
 * Scales that share one scale of the second level: what bitsandbytes writes, and the only size that its
 * kernels read.
 */
export const NESTED_BLOCK_SIZE = 256;

/** Block scales in 8 bits each: scale ≈ map[code] · absmax + offset. */
export interface DoubleQuantized {
  /** [blocks] */
  readonly codes: Uint8Array;
  /** [ceil(blocks / 256)] */
  readonly absmax: Float32Array;
  /** [256] */
  readonly map: Float32Array;
  readonly offset: number;
}

/**
 * Quantizes the block scales once more: their mean is taken off, and every 256 differences share one scale in
 * the signed dynamic map.
 * Codes are the exact nearest ones, ties to the lower (bitsandbytes' CPU library rounds to 65,536 bins first
 * and is sometimes one off).
 * absmax: [blocks]  (Dettmers et al. 2023, section 3)
 */
export function doubleQuantize(absmax: Float32Array, offset = float32Mean(absmax)): DoubleQuantized {
  const differences = absmax.map((scale) => scale - offset);
  const nested = blockAbsmax(differences, NESTED_BLOCK_SIZE);
  const map = signedDynamicMap();
  const search = levelSearch(map);
  const codes = new Uint8Array(absmax.length);
  for (let block = 0; block < nested.length; block++) {
    const from = block * NESTED_BLOCK_SIZE;
    const end = Math.min(from + NESTED_BLOCK_SIZE, absmax.length);
    const normalize = normalizer(nested[block], end - from === NESTED_BLOCK_SIZE);
    for (let i = from; i < end; i++) codes[i] = nearestLevel(search, normalize(differences[i]));
  }
  return { codes, absmax: nested, map, offset };
}

/** Scale of block `i`, rounded after the product and after the sum. */
export const decodedScale = ({ codes, absmax, map, offset }: DoubleQuantized, i: number): number =>
  Math.fround(Math.fround(map[codes[i]] * absmax[Math.floor(i / NESTED_BLOCK_SIZE)]) + offset);

/**
 * The mean, summed in float64 and rounded once to float32. torch sums in float32 in an order that depends on
 * the kind of processor and the number of threads (`torchMean`), so its mean may differ in the last bits (by
 * 0 or 1 unit in the last place in every golden case); the offset is stored, so every reader decodes the same
 * scales.
 */
export function float32Mean(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return Math.fround(sum / values.length);
}
