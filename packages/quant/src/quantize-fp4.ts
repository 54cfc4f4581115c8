import type { QuantizedMatrix } from './matrix/quantized-matrix.ts';
import { quantize4bit, type DenseMatrix, type QuantizeOptions } from './quantize-4bit.ts';

/**
 * Quantizes one matrix to FP4 as bitsandbytes does on the CPU: code 8 for the smallest positive numbers and 0
 * for the smallest negative ones (both decode to 0), and on a limit the lower value. CUDA's codes may differ
 * there, its decoded values only on a limit.
 *
 * @throws as `quantize4bit`
 */
export const quantizeFp4 = (matrix: DenseMatrix, options?: QuantizeOptions): QuantizedMatrix =>
  quantize4bit('fp4', matrix, options);
