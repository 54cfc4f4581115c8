import type { QuantizedMatrix } from './matrix/quantized-matrix.ts';
import { quantize4bit, type DenseMatrix, type QuantizeOptions } from './quantize-4bit.ts';

/**
 * Quantizes a matrix to 4-bit NormalFloat.
 *
 * @throws as `quantize4bit`
 * @example
 * const packed = quantizeNf4({ data: weights, shape: [4096, 4096] }, { blockSize: 64 });
 * packed.bitsPerWeight; // 4.127
 */
export const quantizeNf4 = (matrix: DenseMatrix, options?: QuantizeOptions): QuantizedMatrix =>
  quantize4bit('nf4', matrix, options);
