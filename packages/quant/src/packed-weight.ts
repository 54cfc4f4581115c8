import type { Arrays, Op } from '@qdylora/contract';
import type { QuantizedMatrix } from './nf4-matrix.ts';
import { dequantizeBlockwise } from './ops/dequantize-blockwise.ts';
import { matmulNf4, matmulNf4InputGradient } from './ops/matmul-nf4.ts';
import { quantizedAttributes, quantizedInputs } from './ops/quantized-inputs.ts';

/** A frozen weight as a linear layer takes it: the arrays and attributes of its ops beside x, and the ops. */
export interface PackedMatrix {
  readonly kind: string;
  /** [out, in] */
  readonly shape: readonly [number, number];
  readonly byteLength: number;
  readonly operands: Arrays;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly multiply: Op;
  readonly multiplyInputGradient: Op;
  readonly decode: Op;
}

/** A quantized matrix as the weight of a linear layer; @qdylora/tensor's `Linear` takes it as it is. */
export const packedWeight = (matrix: QuantizedMatrix): PackedMatrix => ({
  kind: matrix.kind, shape: matrix.shape, byteLength: matrix.byteLength, operands: { ...quantizedInputs(matrix) }, attributes: { ...quantizedAttributes(matrix) },
  multiply: matmulNf4 as unknown as Op, multiplyInputGradient: matmulNf4InputGradient as unknown as Op, decode: dequantizeBlockwise as unknown as Op,
});
