import type { Op, PackedWeight } from '@qdylora/contract';
import type { QuantizedMatrix } from './quantized-matrix.ts';
import { dequantizeBlockwise } from '../ops/dequantize-blockwise.ts';
import { matmulNf4, matmulNf4InputGradient } from '../ops/matmul-nf4.ts';
import { quantizedAttributes, quantizedInputs } from '../ops/quantized-inputs.ts';

/** A quantized matrix as the weight of a linear layer, for `Linear` of @qdylora/tensor. */
export const packedWeight = (matrix: QuantizedMatrix): PackedWeight => ({
  kind: matrix.kind,
  shape: matrix.shape,
  byteLength: matrix.byteLength,
  operands: { ...quantizedInputs(matrix) },
  attributes: { ...quantizedAttributes(matrix) },
  multiply: matmulNf4 as unknown as Op,
  multiplyInputGradient: matmulNf4InputGradient as unknown as Op,
  decode: dequantizeBlockwise as unknown as Op,
});
