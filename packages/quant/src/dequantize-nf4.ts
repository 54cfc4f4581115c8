import { decodeScales, decodeWeights } from './ops/decode-weights.ts';
import {
  assertArrays,
  assertQuantized,
  quantizedAttributes,
  quantizedInputs,
  type QuantizedInputs,
} from './ops/quantized-inputs.ts';
import type { QuantizedMatrix } from './matrix/quantized-matrix.ts';

/**
 * All weights of a matrix in host memory, as float32 in row-major order. The kind is in the levels that the
 * matrix stores.  → [rows · cols]
 *
 * @throws QdyloraError DISPOSED if its memory was disposed; BAD_SHAPE if an array does not fit its shape and
 * block size
 */
export const dequantize4bit = (matrix: QuantizedMatrix): Float32Array =>
  decodeWeights(inputsOf(matrix), quantizedAttributes(matrix));

/**
 * An alias of `dequantize4bit`, the counterpart of `quantizeNf4`.
 *
 * @example dequantizeNf4(quantizeNf4({ data: weights, shape: [2, 3] })).length; // 6
 */
export const dequantizeNf4 = dequantize4bit;

/**
 * The float32 scale of every block, stored or decoded.  → [blocks]
 *
 * @throws QdyloraError DISPOSED if its memory was disposed; BAD_SHAPE if an array does not fit its shape and
 * block size
 */
export const decodedAbsmax = (matrix: QuantizedMatrix): Float32Array =>
  decodeScales(inputsOf(matrix), quantizedAttributes(matrix));

function inputsOf(matrix: QuantizedMatrix): QuantizedInputs {
  const inputs = quantizedInputs(matrix);
  assertArrays('dequantize', inputs);
  assertQuantized('dequantize', inputs, quantizedAttributes(matrix));
  return inputs;
}
