import { assertShape, byteLengthOf, type PackedWeight } from '@qdylora/contract';
import { packedWeight } from '../matrix/packed-weight.ts';
import type { QuantizedMatrix } from '../matrix/quantized-matrix.ts';

/** Quantization levels of a weight, in bits. The 4-bit codes are those of NF4, equal to bitsandbytes. */
export const QUANTIZATION_LEVELS = [3, 4, 8] as const;

/** The level that every quantized weight has. */
export const STORED_LEVEL = 4;

/** The arrays of further levels of a matrix. */
export interface OtherLevels {
  /** The same codes under a codebook of 8 values (`threeBitMatrix`). */
  readonly threeBits?: QuantizedMatrix;
  /** NF4 of what the 4 bits leave over, weight − decoded weight: 8 bits are the sum of both matrices. */
  readonly residual?: QuantizedMatrix;
}

/**
 * A quantized matrix as the weight of a linear layer that can compute at several levels. The levels share
 * arrays: 3 bits add a codebook and perhaps block scales, 8 bits add a matrix.
 *
 * @throws QdyloraError BAD_SHAPE if the matrices have different shapes
 * @example
 * const threeBits = threeBitMatrix(matrix, weights);
 * const layer = new Linear('q_proj', leveledWeight(matrix, { threeBits })).atLevel(3);
 */
export function leveledWeight(matrix: QuantizedMatrix, { threeBits, residual }: OtherLevels): PackedWeight {
  for (const other of [threeBits, residual])
    if (other) assertShape('leveled-weight', 'the matrix of another level', other.shape, matrix.shape);
  const weight = packedWeight(matrix);
  const otherLevels = new Map<number, PackedWeight>();
  if (threeBits) otherLevels.set(3, packedWeight(threeBits));
  if (residual)
    otherLevels.set(8, {
      ...weight,
      byteLength: matrix.byteLength + residual.byteLength,
      residual: packedWeight(residual),
    });
  return {
    ...weight,
    byteLength: matrix.byteLength + scaleBytes(matrix, threeBits) + (residual?.byteLength ?? 0),
    otherLevels,
  };
}

/** Bytes of block scales that the 3-bit matrix does not share. */
function scaleBytes({ codes, ...matrix }: QuantizedMatrix, threeBits: QuantizedMatrix | undefined): number {
  if (!threeBits || !ownsScales(matrix, threeBits)) return 0;
  return threeBits.byteLength - byteLengthOf(codes);
}

const ownsScales = (
  matrix: Pick<QuantizedMatrix, 'absmax' | 'doubleQuantized'>,
  threeBits: QuantizedMatrix,
): boolean =>
  threeBits.absmax !== matrix.absmax || threeBits.doubleQuantized?.codes !== matrix.doubleQuantized?.codes;
