import { decodeScales, decodeWeights } from './ops/decode-weights.ts';
import {
  assertArrays,
  quantizedAttributes,
  quantizedInputs,
  type QuantizedInputs,
} from './ops/quantized-inputs.ts';
import type { QuantizedMatrix } from './matrix/quantized-matrix.ts';

/**
 * All weights of a matrix in host memory as float32, row-major; the levels stored with it say what kind it
 * is. → [rows · cols]. @throws QdyloraError DISPOSED where its memory is gone
 */
export const dequantize4bit = (matrix: QuantizedMatrix): Float32Array =>
  decodeWeights(inputsOf(matrix), quantizedAttributes(matrix));

/**
 * `dequantize4bit` by the name that goes with `quantizeNf4`.
 *
 * @example dequantizeNf4(quantizeNf4({ data: weights, shape: [2, 3] })).length; // 6
 */
export const dequantizeNf4 = dequantize4bit;

/**
 * The float32 scale of every block, whichever way it is stored. → [blocks]. @throws QdyloraError DISPOSED
 * where its memory is gone
 */
export const decodedAbsmax = (matrix: QuantizedMatrix): Float32Array =>
  decodeScales(inputsOf(matrix), quantizedAttributes(matrix));

function inputsOf(matrix: QuantizedMatrix): QuantizedInputs {
  const inputs = quantizedInputs(matrix);
  assertArrays('dequantize', inputs);
  return inputs;
}
