import {
  checkOptions,
  elementCount,
  f32View,
  hostData,
  QdyloraError,
  trueOrFalse,
  type OptionRules,
} from '@qdylora/contract';
import { assertFloat32Array } from '../blocks/assert-float32-array.ts';
import { blockAbsmax } from '../blocks/block-absmax.ts';
import { blockCount } from '../blocks/block-size.ts';
import { nibbleAt } from '../blocks/pack-nibbles.ts';
import { decodedAbsmax } from '../dequantize-nf4.ts';
import { quantizedMatrix, type QuantizedMatrix } from '../matrix/quantized-matrix.ts';
import { storedScales } from '../matrix/stored-scales.ts';
import { mergeLevels, type CodeSums } from './merge-levels.ts';

/** Options of `threeBitMatrix`: whether the 3-bit matrix has block scales of its own. */
export interface ThreeBitOptions {
  /**
   * Gives the blocks scales of their own, by least squares: 0.127 more bits a weight at block size 64 (0.5
   * without double quantization). Default true.
   */
  readonly refitScales?: boolean;
}

const OPTIONS: OptionRules<ThreeBitOptions> = { refitScales: trueOrFalse };

/** Values of the 3-bit codebook. */
const VALUES = 8;

/** Rounds of fitting scales and table in turn. Each lowers the error; the fourth by less than 0.1 %. */
const ROUNDS = 3;

/**
 * A matrix in NF4 as a matrix of 3 bits: the same array of codes, under a codebook in which neighbouring
 * codes share one of 8 values. The codebook, and with `refitScales` also the block scales, minimize
 * Σ (weight − scale · level)² over the matrix.
 *
 * So no kernel changes, and the 4-bit codes stay those of bitsandbytes.
 *
 * @param matrix NF4 in host memory, row-major
 * @param weights the numbers that the matrix stands for: [rows · cols], row-major
 * @throws QdyloraError UNSUPPORTED for another kind than nf4, or tiles; BAD_SHAPE; NON_FINITE;
 * BAD_ARGUMENT for weights that are no Float32Array, or an unknown option
 */
export function threeBitMatrix(
  matrix: QuantizedMatrix,
  weights: Float32Array,
  options: ThreeBitOptions = {},
): QuantizedMatrix {
  checkOptions('three-bit-matrix', options, OPTIONS);
  const { refitScales = true } = options;
  assertRowMajorNf4(matrix, weights);
  if (!refitScales) {
    const levels = mergeLevels(codeSums(matrix, weights, decodedAbsmax(matrix)), VALUES);
    return quantizedMatrix({ ...matrix, levels: f32View([16], levels) });
  }
  let scales = decodedAbsmax(matrix);
  for (let round = 0; round < ROUNDS; round++)
    scales = fitScales(matrix, weights, mergeLevels(codeSums(matrix, weights, scales), VALUES));
  const refitted = quantizedMatrix({ ...matrix, ...storedScales(scales, matrix.doubleQuantized !== null) });
  const levels = mergeLevels(codeSums(refitted, weights, decodedAbsmax(refitted)), VALUES);
  return quantizedMatrix({ ...refitted, levels: f32View([16], levels) });
}

function assertRowMajorNf4({ kind, shape, blockSize, tiled }: QuantizedMatrix, weights: Float32Array): void {
  const where = 'three-bit-matrix';
  assertFloat32Array(where, 'weights of a matrix', weights);
  if (kind !== 'nf4' || tiled)
    throw new QdyloraError('UNSUPPORTED', {
      where,
      problem:
        `a matrix of 3 bits must come from nf4 in row-major order ` +
        `(got ${kind}${tiled ? ' in tiles' : ''})`,
    });
  if (weights.length !== elementCount(shape))
    throw new QdyloraError('BAD_SHAPE', {
      where,
      problem: `there must be ${elementCount(shape)} weights (got ${weights.length})`,
    });
  blockAbsmax(weights, blockSize); // refuses what is not finite: one NaN would make every level 0
}

/** Calls `visit` with each block: its number, and the sum and count of its weights by code. */
function forEachBlock(
  { codes, blockSize }: QuantizedMatrix,
  weights: Float32Array,
  visit: (block: number, sums: Float64Array, counts: Float64Array) => void,
): void {
  const packed = hostData(codes);
  const sums = new Float64Array(16);
  const counts = new Float64Array(16);
  for (let block = 0; block < blockCount(weights.length, blockSize); block++) {
    sums.fill(0);
    counts.fill(0);
    const end = Math.min((block + 1) * blockSize, weights.length);
    for (let i = block * blockSize; i < end; i++) {
      const code = nibbleAt(packed, i);
      sums[code] += weights[i];
      counts[code]++;
    }
    visit(block, sums, counts);
  }
}

/** The sums that decide a table under given block scales. */
function codeSums(matrix: QuantizedMatrix, weights: Float32Array, scales: Float32Array): CodeSums {
  const products = new Float64Array(16);
  const squares = new Float64Array(16);
  forEachBlock(matrix, weights, (block, sums, counts) => {
    const scale = scales[block];
    for (let code = 0; code < 16; code++) {
      products[code] += scale * sums[code];
      squares[code] += scale * scale * counts[code];
    }
  });
  return { products, squares };
}

/** The scale of each block for the least error under a table: Σ weight · level / Σ level². */
function fitScales(matrix: QuantizedMatrix, weights: Float32Array, levels: Float32Array): Float32Array {
  const scales = new Float32Array(blockCount(weights.length, matrix.blockSize));
  forEachBlock(matrix, weights, (block, sums, counts) => {
    let product = 0;
    let square = 0;
    for (let code = 0; code < 16; code++) {
      product += levels[code] * sums[code];
      square += levels[code] * levels[code] * counts[code];
    }
    scales[block] = square > 0 ? product / square : 0;
  });
  return scales;
}
