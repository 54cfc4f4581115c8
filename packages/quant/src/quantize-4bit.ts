import {
  anyValue,
  checkOptions,
  elementCount,
  f32View,
  QdyloraError,
  shapeText,
  trueOrFalse,
  viewOf,
  type OptionRules,
} from '@qdylora/contract';
import { assertFloat32Array } from './blocks/assert-float32-array.ts';
import { blockAbsmax } from './blocks/block-absmax.ts';
import { blockCodes } from './blocks/block-codes.ts';
import { assertBlockSize } from './blocks/block-size.ts';
import { levelsOf, type QuantizationKind } from './codebooks/levels-of.ts';
import { isMatrixShape, quantizedMatrix, type QuantizedMatrix } from './matrix/quantized-matrix.ts';
import { storedScales } from './matrix/stored-scales.ts';

/** A dense matrix.  data: [rows · cols], row-major */
export interface DenseMatrix {
  readonly data: Float32Array;
  readonly shape: readonly [number, number];
}

/** Options of `quantize4bit`: the block size and the precision of the scales. */
export interface QuantizeOptions {
  /** Weights per scale: a power of two, 32 … 4096. Default 64. */
  readonly blockSize?: number;
  /** Scales of 8 bits (0.127 bits a weight at block size 64) instead of 32 (0.5). Default true. */
  readonly doubleQuantization?: boolean;
}

/** `assertBlockSize` checks the block size. */
const OPTIONS: OptionRules<QuantizeOptions> = { blockSize: anyValue, doubleQuantization: trueOrFalse };

/**
 * Quantizes a matrix to 4 bits, as bitsandbytes does on the CPU: each block is scaled by its largest
 * magnitude, and each weight takes the nearest level.
 *
 * @throws QdyloraError NON_FINITE for NaN or infinity; BAD_SHAPE; BAD_ARGUMENT for data that is no
 * Float32Array, or an unknown option; UNSUPPORTED for an unknown kind or block size
 * @example quantize4bit('nf4', { data: weights, shape: [4096, 4096] }, { blockSize: 64 });
 */
export function quantize4bit(
  kind: QuantizationKind,
  { data, shape }: DenseMatrix,
  options: QuantizeOptions = {},
): QuantizedMatrix {
  checkOptions('quantize', options, OPTIONS);
  const { blockSize = 64, doubleQuantization = true } = options;
  const levels = f32View([16], levelsOf(kind));
  assertBlockSize(blockSize, 'quantize');
  assertMatrix({ data, shape });
  const absmax = blockAbsmax(data, blockSize);
  const codes = blockCodes(kind, data, absmax, blockSize);
  return quantizedMatrix({
    kind,
    shape: [shape[0], shape[1]],
    blockSize,
    levels,
    codes: viewOf('u8', [codes.length], codes),
    ...storedScales(absmax, doubleQuantization),
  });
}

function assertMatrix({ data, shape }: DenseMatrix): void {
  const where = 'quantize';
  assertFloat32Array(where, 'weights of a matrix', data);
  if (!isMatrixShape(shape))
    throw new QdyloraError('BAD_SHAPE', {
      where,
      problem: `the shape of a matrix must be two whole numbers ≥ 1 (got [${String(shape)}])`,
      details: { shape },
    });
  const count = elementCount(shape);
  if (count !== data.length)
    throw new QdyloraError('BAD_SHAPE', {
      where,
      problem: `a matrix of ${shapeText(shape)} must have ${count} numbers (got ${data.length})`,
      details: { shape, length: data.length },
    });
}
