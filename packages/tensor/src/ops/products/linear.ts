import {
  hostData,
  assertShape,
  defineOp,
  elementCount,
  f32Array,
  floatArray,
  optional,
  type ArrayView,
  type FloatDType,
  type FloatView,
} from '@qdylora/contract';
import type { DifferentiableOp } from '../../autograd/differentiable-op.ts';
import { readElement } from '../elements/read-element.ts';

/**
 * Dtype of the operands of a product. `bf16` and `f16` round both to that type first, as matrix units do.
 * Sums are float32.
 */
export type ComputeDtype = FloatDType;

/** `outDtype`: of the result, default f32. */
export interface LinearAttributes {
  readonly computeDtype: ComputeDtype;
  readonly outDtype?: FloatDType;
}

/**
 * y = x · Wᵀ + bias.  x, y and the weight may be f32, bf16 or f16.
 *
 * x: [tokens, in]   weight: [out, in]   bias: [out]   →   y: [tokens, out]
 */
export const linear = defineOp({
  name: 'linear',
  takes: { x: floatArray(2), weight: floatArray(2), bias: optional(f32Array(1)) },
  halves: ['x', 'y'],
  shapes(
    i: { x: FloatView; weight: FloatView; bias?: ArrayView<'f32'> },
    { outDtype = 'f32' }: LinearAttributes,
  ) {
    const [out, inFeatures] = i.weight.shape as [number, number];
    assertShape('linear', 'x', i.x.shape, [-1, inFeatures]);
    if (i.bias) assertShape('linear', 'bias', i.bias.shape, [out]);
    return { y: { dtype: outDtype, shape: [i.x.shape[0], out] } };
  },
  flops: ({ x, weight }) => 2 * x.shape[0] * elementCount(weight.shape),
  reference({ x, weight, bias }, { y }: { y: FloatView }, { computeDtype }) {
    const biasData = bias && hostData(bias);
    const yData = hostData(y);
    const [out, inFeatures] = weight.shape as [number, number];
    const xAt = readElement(x, computeDtype);
    const wAt = readElement(weight, computeDtype);
    for (let t = 0; t < x.shape[0]; t++) {
      for (let o = 0; o < out; o++) {
        let sum = biasData?.[o] ?? 0;
        for (let k = 0; k < inFeatures; k++) sum += xAt(t * inFeatures + k) * wAt(o * inFeatures + k);
        yData[t * out + o] = sum;
      }
    }
  },
});

/**
 * dx = dy · W, added to dx if `accumulate`.
 *
 * dy: [tokens, out]   weight: [out, in]   →   dx: [tokens, in]
 */
export const linearInputGradient = defineOp({
  name: 'linear-input-gradient',
  takes: { dy: floatArray(2), weight: floatArray(2) },
  addsWhereAsked: 'dx',
  halves: ['dy', 'dx'],
  shapes(
    i: { dy: FloatView; weight: FloatView },
    { outDtype = 'f32' }: LinearAttributes & { accumulate: boolean },
  ) {
    assertShape('linear-input-gradient', 'dy', i.dy.shape, [-1, i.weight.shape[0]]);
    return { dx: { dtype: outDtype, shape: [i.dy.shape[0], i.weight.shape[1]] } };
  },
  flops: ({ dy, weight }) => 2 * dy.shape[0] * elementCount(weight.shape),
  reference({ dy, weight }, { dx }: { dx: FloatView }, { computeDtype, accumulate }) {
    const dxData = hostData(dx);
    const [out, inFeatures] = weight.shape as [number, number];
    const dyAt = readElement(dy, computeDtype);
    const wAt = readElement(weight, computeDtype);
    for (let t = 0; t < dy.shape[0]; t++) {
      for (let k = 0; k < inFeatures; k++) {
        let sum = accumulate ? dxData[t * inFeatures + k] : 0;
        for (let o = 0; o < out; o++) sum += dyAt(t * out + o) * wAt(o * inFeatures + k);
        dxData[t * inFeatures + k] = sum;
      }
    }
  },
});

/**
 * dWeight += dyᵀ · x,   dBias += Σ dy over tokens.
 *
 * x: [tokens, in]   dy: [tokens, out]   →   dWeight: [out, in]   dBias: [out]
 */
export const linearWeightGradient = defineOp({
  name: 'linear-weight-gradient',
  takes: { x: floatArray(2), dy: floatArray(2) },
  accumulates: ['dWeight', 'dBias'],
  halves: ['x', 'dy'],
  shapes(i: { x: FloatView; dy: FloatView }, _: { computeDtype: ComputeDtype }) {
    assertShape('linear-weight-gradient', 'dy', i.dy.shape, [i.x.shape[0], -1]);
    return {
      dWeight: { dtype: 'f32', shape: [i.dy.shape[1], i.x.shape[1]] },
      dBias: { dtype: 'f32', shape: [i.dy.shape[1]] },
    };
  },
  flops: ({ x, dy }) => 2 * x.shape[0] * x.shape[1] * dy.shape[1],
  reference(
    { x, dy },
    { dWeight, dBias }: { dWeight?: ArrayView<'f32'>; dBias?: ArrayView<'f32'> },
    { computeDtype },
  ) {
    const dyData = hostData(dy);
    const dWeightData = dWeight && hostData(dWeight);
    const dBiasData = dBias && hostData(dBias);
    const [tokens, inFeatures] = x.shape as [number, number];
    const out = dy.shape[1];
    const xAt = readElement(x, computeDtype);
    const dyAt = readElement(dy, computeDtype);
    for (let o = 0; o < out; o++) {
      for (let k = 0; k < inFeatures && dWeightData; k++) {
        let sum = dWeightData[o * inFeatures + k];
        for (let t = 0; t < tokens; t++) sum += dyAt(t * out + o) * xAt(t * inFeatures + k);
        dWeightData[o * inFeatures + k] = sum;
      }
      if (!dBiasData) continue;
      let sum = dBiasData[o];
      for (let t = 0; t < tokens; t++) sum += dyData[t * out + o];
      dBiasData[o] = sum;
    }
  },
});

/** `linear` with the gradients of x, weight and bias. */
export const differentiableLinear: DifferentiableOp<typeof linear> = {
  op: linear,
  backward({ run, inputs, gradients, attributes: { computeDtype }, wants, into, pending }) {
    const dWeight = into('weight');
    const dBias = into('bias');
    if (dWeight || dBias)
      run(linearWeightGradient, { x: inputs.x, dy: gradients.y }, { computeDtype }, { dWeight, dBias });
    if (!wants('x')) return {};
    const dx = pending('x');
    return {
      x: run(
        linearInputGradient,
        { dy: gradients.y, weight: inputs.weight },
        { computeDtype, outDtype: inputs.x.dtype, accumulate: dx !== undefined },
        { dx },
      ).dx,
    };
  },
};
