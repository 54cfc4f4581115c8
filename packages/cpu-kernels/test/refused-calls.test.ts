import { f32View, i32View, viewOf, type ArrayView, type Arrays, type Op } from '@qdylora/contract';
import {
  adaptedLinear,
  adaptedLinearBackward,
  adaptedLinearGroup,
  adaptedLinearGroupBackward,
} from '@qdylora/lora-dynamic';
import { matmulNf4InputGradient, quantizedAttributes, quantizedInputs, quantizeNf4 } from '@qdylora/quant';
import {
  adamwStep,
  appendRows,
  causalAttention,
  causalAttentionBackward,
  joinColumns,
  layerNorm,
  layerNormBackward,
  linear,
  linearCrossEntropy,
  linearInputGradient,
  residualNorm,
  rmsNorm,
  rmsNormBackward,
  rope,
  softCap,
  softCapBackward,
  splitColumns,
} from '@qdylora/tensor';
import { expect, test } from 'vitest';
import { expectRefusal } from './expect-refusal.ts';

const F = (...shape: number[]): ArrayView<'f32'> => f32View(shape);
const ends = i32View([2], [0, 4]);
const matrix = quantizeNf4({ data: new Float32Array(256).fill(0.5), shape: [4, 64] });
const attention = { heads: 2, kvHeads: 1, headDim: 4, scale: 1, softCap: 0, window: 0, computeDtype: 'f32' };
const qkv = { q: F(4, 8), k: F(4, 4), v: F(4, 4), querySegments: ends, keySegments: ends };
const forwardResults = { y: F(4, 8), logSumExp: F(2, 4), dy: F(4, 8) };
const layer = { rows: 3, cols: 4, blockSize: 64, nestedOffset: 0, computeDtype: 'f32', scale: 1 };
const operands = { x: F(2, 4), weight: F(3, 4), a: F(1, 4), b: F(1, 3) };
const backwardLayer = { ...layer, accumulate: false, trainFrom: 0, wantsDx: true };
const backwardOperands = { dy: F(2, 3), x: F(2, 4), u: F(2, 1), weight: F(3, 4), a: F(1, 4), b: F(1, 3) };
const packed = { x: F(2, 64), a: F(1, 64), b: F(1, 4), ...quantizedInputs(matrix) };
const packedLayer = { ...quantizedAttributes(matrix), computeDtype: 'f32', scale: 1 };
const pair = { layers: [layer, layer], cols: 4, computeDtype: 'f32' };
const group = { x: F(2, 4), weight0: F(3, 4), weight1: F(3, 4), a0: F(1, 4), b0: F(1, 3) };
const groupBackward = { ...pair, accumulate: false, trainFrom: 0, wantsDx: true };
const adamw = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 };
const adamwInputs = { gradient: F(3), rates: F(4) };
const states = { parameter: F(3), m: F(3), v: F(3) };

test.each<[string, unknown, object, object, RegExp, object?]>([
  [
    'attention without heads',
    causalAttention,
    { ...qkv, q: F(4, 0) },
    { ...attention, heads: 0 },
    /heads, kvHeads and headDim must be whole numbers ≥ 1.* \(got 0, 1 and 4\)/,
  ],
  [
    'attention whose key heads do not divide the others',
    causalAttention,
    { ...qkv, q: F(4, 12), k: F(4, 8), v: F(4, 8) },
    { ...attention, heads: 3, kvHeads: 2 },
    /kvHeads must divide heads/,
  ],
  [
    'attention with a negative cap',
    causalAttention,
    qkv,
    { ...attention, softCap: -1 },
    /softCap must be a finite number ≥ 0/,
  ],
  [
    'attention backward with y of another shape',
    causalAttentionBackward,
    { ...qkv, ...forwardResults, y: F(2, 8) },
    attention,
    /y must be \[4, 8\], but it is \[2, 8\]/,
  ],
  [
    'attention backward with sums of another shape',
    causalAttentionBackward,
    { ...qkv, ...forwardResults, logSumExp: F(2, 3) },
    attention,
    /logSumExp must be \[2, 4\], but it is/,
  ],
  [
    'an adapted layer whose weight lies the other way',
    adaptedLinear,
    { ...operands, weight: F(4, 3) },
    layer,
    /weight must be \[3, 4\], but it is \[4, 3\]/,
  ],
  [
    'an adapted layer with a bias of another length',
    adaptedLinear,
    { ...operands, bias: F(9) },
    layer,
    /bias must be \[3\], but it is \[9\]/,
  ],
  [
    'an adapted layer with a bias of nothing',
    adaptedLinear,
    { ...operands, bias: F(0) },
    layer,
    /bias must be \[3\], but it is \[0\]/,
  ],
  [
    'an adapted layer without a weight',
    adaptedLinear,
    { ...operands, weight: undefined },
    layer,
    /the base must be either weight, or codes, levels and the scales of a packed matrix \(got x, a, b\)/,
  ],
  [
    'an adapted layer with two weights',
    adaptedLinear,
    { ...packed, weight: F(4, 64) },
    packedLayer,
    /the base must be either weight, or codes/,
  ],
  [
    'an adapted layer of blocks of another size',
    adaptedLinear,
    packed,
    { ...packedLayer, blockSize: 128 },
    /absmaxCodes must be \[2\], but it is \[4\]/,
  ],
  [
    'an adapted layer backward with an adapter of other widths',
    adaptedLinearBackward,
    { ...backwardOperands, a: F(1, 9) },
    backwardLayer,
    /a must be \[1, 4\], but it is \[1, 9\]/,
  ],
  [
    'an adapted layer backward with an adapter of two ranks',
    adaptedLinearBackward,
    { ...backwardOperands, b: F(7, 3) },
    backwardLayer,
    /b must be \[1, 3\], but it is/,
  ],
  [
    'an adapted layer backward with rows of another length',
    adaptedLinearBackward,
    { ...backwardOperands, xAdapter: F(4, 9) },
    backwardLayer,
    /xAdapter must be \[2, 4\], but it is/,
  ],
  [
    'an adapted layer backward that adds to nothing',
    adaptedLinearBackward,
    backwardOperands,
    { ...backwardLayer, accumulate: true },
    /the output dx is missing: the op adds to it, because `accumulate` is true/,
  ],
  [
    'a group of four layers',
    adaptedLinearGroup,
    group,
    { ...pair, layers: [layer, layer, layer, layer] },
    /a group must have 1 to 3 layers \(got 4\)/,
  ],
  [
    'a group with half an adapter',
    adaptedLinearGroup,
    { ...group, b0: undefined },
    pair,
    /a0 and b0 must both be present, or neither/,
  ],
  [
    'a group with a weight too few',
    adaptedLinearGroup,
    { ...group, weight1: undefined },
    pair,
    /the base must be either weight1, or codes1, levels1 and the scales/,
  ],
  [
    'a group with adapters of two ranks',
    adaptedLinearGroup,
    { ...group, a1: F(2, 4), b1: F(2, 3) },
    pair,
    /the adapters of a group must have one rank \(got 1, 2\)/,
  ],
  [
    'a group backward without a gradient',
    adaptedLinearGroupBackward,
    { ...group, dy0: F(2, 3), u0: F(2, 1) },
    groupBackward,
    /dy1 must be \[2, 3\], but it is \[\]/,
  ],
  [
    'a group backward that adds to nothing',
    adaptedLinearGroupBackward,
    { ...group, dy0: F(2, 3), dy1: F(2, 3), u0: F(2, 1) },
    { ...groupBackward, accumulate: true },
    /the output dx is missing/,
  ],
  [
    'a gradient that adds to nothing',
    linearInputGradient,
    { dy: F(1, 2), weight: F(2, 4) },
    { computeDtype: 'f32', accumulate: true },
    /the output dx is missing/,
  ],
  [
    'a packed gradient that adds to nothing',
    matmulNf4InputGradient,
    { dy: F(1, 4), ...quantizedInputs(matrix) },
    { ...packedLayer, accumulate: true },
    /the output dx is missing/,
  ],
  [
    'a norm backward that adds to nothing',
    rmsNormBackward,
    { x: F(4, 4), weight: F(4), inverseRms: F(4), dy: F(4, 4) },
    { epsilon: 0, weightOffset: 0, accumulate: true },
    /the output dx is missing/,
  ],
  [
    'a norm backward with one root for four rows',
    rmsNormBackward,
    { x: F(4, 4), weight: F(4), inverseRms: F(1), dy: F(4, 4) },
    { epsilon: 0, weightOffset: 0, accumulate: false },
    /inverseRms must be \[4\], but it is \[1\]/,
  ],
  [
    'a norm backward with a weight of another width',
    rmsNormBackward,
    { x: F(2, 4), weight: F(3), inverseRms: F(2), dy: F(2, 4) },
    { epsilon: 0, weightOffset: 0, accumulate: false },
    /x must be \[any, 3\], but it is \[2, 4\]/,
  ],
  [
    'a layer norm backward with too few means',
    layerNormBackward,
    { x: F(4, 4), weight: F(4), mean: F(1), inverseDeviation: F(4), dy: F(4, 4) },
    { accumulate: false },
    /mean must be \[4\], but it is/,
  ],
  [
    'a layer norm backward with a weight of another width',
    layerNormBackward,
    { x: F(4, 4), weight: F(9), mean: F(4), inverseDeviation: F(4), dy: F(4, 4) },
    { accumulate: false },
    /x must be \[any, 9\], but it is/,
  ],
  [
    'a norm with a negative epsilon',
    rmsNorm,
    { x: F(4, 4), weight: F(4) },
    { epsilon: -100, weightOffset: 0 },
    /epsilon must be a number ≥ 0 \(got -100\)/,
  ],
  [
    'a residual norm with a negative epsilon',
    residualNorm,
    { a: F(4, 4), b: F(4, 4), weight: F(4) },
    { epsilon: -1, weightOffset: 0 },
    /epsilon must be a number ≥ 0 \(got -1\)/,
  ],
  [
    'a layer norm with a negative epsilon',
    layerNorm,
    { x: F(4, 4), weight: F(4) },
    { epsilon: -1 },
    /epsilon must be a number ≥ 0 \(got -1\)/,
  ],
  ['a cap of 0', softCap, { x: F(4) }, { cap: 0 }, /cap must be a finite number > 0 \(got 0\)/],
  ['an infinite cap', softCap, { x: F(4) }, { cap: Infinity }, /cap must be a finite number > 0 \(got Inf/],
  [
    'attention with an infinite cap',
    causalAttention,
    qkv,
    { ...attention, softCap: Infinity },
    /softCap must be a finite number ≥ 0/,
  ],
  [
    'a cap backward of two lengths',
    softCapBackward,
    { y: F(5), dy: F(4) },
    { cap: 1 },
    /y must be \[4\], but it is \[5\]/,
  ],
  [
    'a loss with weights for other tokens',
    linearCrossEntropy,
    { x: F(2, 3), weight: F(5, 3), targets: i32View([2], [0, 1]), tokenWeights: F(0) },
    { computeDtype: 'f32', lossScale: 1, gradient: false },
    /tokenWeights must be \[2\], but it is \[0\]/,
  ],
  [
    'a product in a type that is none',
    linear,
    { x: F(1, 4), weight: F(2, 4) },
    { computeDtype: 'fp16' },
    /computeDtype must be f32 or bf16 or f16, but it is fp16/,
  ],
  [
    'a product in float16, which only GPUs multiply',
    linear,
    { x: F(1, 4), weight: F(2, 4) },
    { computeDtype: 'f16' },
    /computeDtype is f16, but the backend cpu computes in f32 and bf16 only\. Use f32 or bf16, or another/,
  ],
  [
    'an array of float16',
    linear,
    { x: viewOf('f16', [1, 4], new Uint16Array(4)), weight: F(2, 4) },
    { computeDtype: 'bf16' },
    /the array x is f16, but the backend cpu computes in f32 and bf16 only/,
  ],
  [
    'heads of no width',
    rope,
    { x: F(2, 8), cos: F(2, 1), sin: F(2, 1) },
    { headDim: 0, inverse: false },
    /headDim must divide the 8 columns of x .*\(got 0\)/,
  ],
  [
    'heads with more pairs than they are wide',
    rope,
    { x: F(2, 8), cos: F(2, 3), sin: F(2, 3) },
    { headDim: 4, inverse: false },
    /headDim must .* hold the 3 rotated pairs \(got 4\)/,
  ],
  [
    'columns for a part of a width',
    splitColumns,
    { x: F(2, 4) },
    { groups: 1, widths: [1.5, 2.5] },
    /groups and widths must be whole numbers/,
  ],
  [
    'columns for more tokens than there can be',
    joinColumns,
    {},
    { groups: 1, widths: [0, 0], tokens: 2 ** 50 },
    /tokens must be a whole number/,
  ],
  [
    'more empty rows than there can be',
    splitColumns,
    { x: viewOf('f32', [2 ** 50, 0], new Float32Array(0)) },
    { groups: 1, widths: [0, 0] },
    /x is empty, but one of its sizes is above 2147483648/,
  ],
  [
    'rows that are put nowhere',
    appendRows,
    { x: F(1, 4), segments: ends },
    { rows: 8 },
    /the output y is missing: the op changes it/,
  ],
  [
    'a step without its second moments',
    adamwStep,
    adamwInputs,
    adamw,
    /the output v is missing: the op changes it/,
    { parameter: F(3), m: F(3) },
  ],
  [
    'a step that would divide by 0',
    adamwStep,
    adamwInputs,
    { ...adamw, beta1: 1 },
    /beta1 and beta2 must be at least 0 and below 1 \(got 1 and 0.99\)/,
    states,
  ],
  [
    'a step without a number',
    adamwStep,
    adamwInputs,
    { ...adamw, epsilon: NaN },
    /epsilon must be a number, but it is NaN/,
    states,
  ],
  ['a step without all of its rates', adamwStep, { gradient: F(3), rates: F(3) }, adamw, /rates/, states],
])('%s is refused before any kernel runs', (_, op, inputs, attributes, message, suppliedOutputs = {}) => {
  expectRefusal(
    op as Op,
    inputs as Arrays,
    attributes,
    {
      code: expect.stringMatching(/^(BAD_(ARGUMENT|SHAPE)|UNSUPPORTED)$/) as never,
      message: expect.stringMatching(message),
    },
    suppliedOutputs as Arrays,
  );
});
