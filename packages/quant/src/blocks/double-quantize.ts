import { assertFloat32Array } from './assert-float32-array.ts';
import { blockAbsmax } from './block-absmax.ts';
import { normalizer } from './block-codes.ts';
import { signedDynamicMap } from '../codebooks/dynamic-8bit.ts';
import { levelSearch, nearestLevel } from './nearest-level.ts';

/** Block scales per nested scale: the only number that bitsandbytes reads and writes. */
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
 * Quantizes block scales to 8 bits: their mean is subtracted, and every 256 differences share one nested
 * scale in the signed dynamic map (Dettmers et al. 2023, section 3). Codes are the exact nearest ones; ties
 * take the lower. The CPU library of bitsandbytes rounds to 65,536 steps first and is sometimes off by one.
 * absmax: [blocks]
 *
 * @throws QdyloraError BAD_ARGUMENT for scales that are no Float32Array; NON_FINITE
 */
export function doubleQuantize(absmax: Float32Array, offset?: number): DoubleQuantized {
  assertScales(absmax);
  const mean = offset ?? float32Mean(absmax);
  const differences = absmax.map((scale) => scale - mean);
  const nested = blockAbsmax(differences, NESTED_BLOCK_SIZE, DIFFERENCES);
  const map = signedDynamicMap();
  const search = levelSearch(map);
  const codes = new Uint8Array(absmax.length);
  for (let block = 0; block < nested.length; block++) {
    const from = block * NESTED_BLOCK_SIZE;
    const end = Math.min(from + NESTED_BLOCK_SIZE, absmax.length);
    const normalize = normalizer(nested[block], end - from === NESTED_BLOCK_SIZE);
    for (let i = from; i < end; i++) codes[i] = nearestLevel(search, normalize(differences[i]));
  }
  return { codes, absmax: nested, map, offset: mean };
}

/** @throws QdyloraError BAD_ARGUMENT unless they are a Float32Array; NON_FINITE */
export function assertScales(absmax: Float32Array): void {
  assertFloat32Array('double-quantize', 'block scales', absmax);
  blockAbsmax(absmax, NESTED_BLOCK_SIZE, 'block scales');
}

/** What is quantized, in messages. */
export const DIFFERENCES = 'differences of block scales and their mean';

/** Scale of block `i`, rounded after the product and after the sum. */
export const decodedScale = ({ codes, absmax, map, offset }: DoubleQuantized, i: number): number =>
  Math.fround(Math.fround(map[codes[i]] * absmax[Math.floor(i / NESTED_BLOCK_SIZE)]) + offset);

/**
 * The mean, summed in float64 and rounded once. PyTorch sums in float32, in an order that depends on the
 * processor and the number of threads (`torchMean`), so its mean may differ in the last bit (by at most 1 ulp
 * in every golden case). The offset is stored, so every reader decodes the same scales.
 */
export function float32Mean(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return Math.fround(sum / values.length);
}
