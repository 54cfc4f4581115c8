import type { QuantizedMatrix } from './matrix/quantized-matrix.ts';
import { quantize4bit, type DenseMatrix, type QuantizeOptions } from './quantize-4bit.ts';

/**
 * Quantizes a matrix to FP4, as bitsandbytes does on the CPU. The smallest positive numbers get code 8, the
 * smallest negative ones code 0 (both decode to 0); halfway between two levels, the lower one wins. CUDA may
 * give other codes there.
 *
 * @throws as `quantize4bit`
 */
export const quantizeFp4 = (matrix: DenseMatrix, options?: QuantizeOptions): QuantizedMatrix =>
  quantize4bit('fp4', matrix, options);
