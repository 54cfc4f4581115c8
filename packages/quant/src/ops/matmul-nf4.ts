import {
  hostData,
  assertShape,
  defineOp,
  f32Array,
  floatArray,
  optional,
  rounderTo,
  type ArrayView,
  type FloatDType,
  type FloatView,
} from '@qdylora/contract';
import { decodeWeights } from './decode-weights.ts';
import {
  assertQuantized,
  QUANTIZED_INPUTS,
  type QuantizedAttributes,
  type QuantizedInputs,
} from './quantized-inputs.ts';

type F32 = ArrayView<'f32'>;

/**
 * `computeDtype` of two bytes: x (or dy) and the decoded weight are rounded to it before the product, as
 * matrix units do. `outDtype`: of y (or dx), default f32.
 */
export interface MatmulNf4Attributes extends QuantizedAttributes {
  readonly computeDtype: FloatDType;
  readonly outDtype?: FloatDType;
}

/**
 * y = x · Wᵀ + bias with a 4-bit W: [rows, cols] of any kind. Kernels sum in float32, the reference in
 * float64.
 *
 * x: [tokens, cols], of any float type   bias: [rows]   →   y: [tokens, rows]
 */
export const matmulNf4 = defineOp({
  name: 'matmul-nf4',
  takes: { x: floatArray(2), bias: optional(f32Array(1)), ...QUANTIZED_INPUTS },
  halves: ['x', 'y'],
  shapes(i: { x: FloatView; bias?: F32 } & QuantizedInputs, attributes: MatmulNf4Attributes) {
    assertQuantized('matmul-nf4', i, attributes);
    assertShape('matmul-nf4', 'x', i.x.shape, [-1, attributes.cols]);
    if (i.bias) assertShape('matmul-nf4', 'bias', i.bias.shape, [attributes.rows]);
    return { y: { dtype: attributes.outDtype ?? 'f32', shape: [i.x.shape[0], attributes.rows] } };
  },
  flops: ({ x }, { rows, cols }) => 2 * x.shape[0] * rows * cols,
  reference({ x, bias, ...weight }, { y }: { y: FloatView }, attributes) {
    const biasData = bias && hostData(bias);
    const yData = hostData(y);
    const { rows, cols, computeDtype } = attributes;
    const w = rounded(decodeWeights(weight, attributes), computeDtype);
    const operand = rounded(hostData(x) as Float32Array, computeDtype);
    for (let token = 0; token < x.shape[0]; token++) {
      for (let row = 0; row < rows; row++) {
        let sum = biasData?.[row] ?? 0;
        for (let col = 0; col < cols; col++) sum += operand[token * cols + col] * w[row * cols + col];
        yData[token * rows + row] = sum;
      }
    }
  },
});

/**
 * dx = dy · W, added to the supplied dx if `accumulate`. W is decoded exactly as in the forward op.
 *
 * dy: [tokens, rows]   →   dx: [tokens, cols]
 */
export const matmulNf4InputGradient = defineOp({
  name: 'matmul-nf4-input-gradient',
  takes: { dy: floatArray(2), ...QUANTIZED_INPUTS },
  addsWhereAsked: 'dx',
  halves: ['dy', 'dx'],
  shapes(i: { dy: FloatView } & QuantizedInputs, attributes: MatmulNf4Attributes & { accumulate: boolean }) {
    assertQuantized('matmul-nf4-input-gradient', i, attributes);
    assertShape('matmul-nf4-input-gradient', 'dy', i.dy.shape, [-1, attributes.rows]);
    return { dx: { dtype: attributes.outDtype ?? 'f32', shape: [i.dy.shape[0], attributes.cols] } };
  },
  flops: ({ dy }, { rows, cols }) => 2 * dy.shape[0] * rows * cols,
  reference({ dy, ...weight }, { dx }: { dx: FloatView }, { accumulate, ...attributes }) {
    const dxData = hostData(dx);
    const { rows, cols, computeDtype } = attributes;
    const w = rounded(decodeWeights(weight, attributes), computeDtype);
    const operand = rounded(hostData(dy) as Float32Array, computeDtype);
    for (let token = 0; token < dy.shape[0]; token++) {
      for (let col = 0; col < cols; col++) {
        let sum = accumulate ? dxData[token * cols + col] : 0;
        for (let row = 0; row < rows; row++) sum += operand[token * rows + row] * w[row * cols + col];
        dxData[token * cols + col] = sum;
      }
    }
  },
});

const rounded = (values: Float32Array, computeDtype: FloatDType): Float32Array =>
  computeDtype === 'f32' ? values : values.map(rounderTo(computeDtype));
