import {
  f32View,
  i32View,
  runOp,
  typedArray,
  viewOf,
  type ArrayRule,
  type ArrayView,
  type Arrays,
  type DType,
  type Op,
} from '@qdylora/contract';
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
import { describe, expect, test } from 'vitest';
import { createCpuBackend } from '../src/index.ts';
import { cpuKernels } from '../src/kernel-table.ts';

const backend = await createCpuBackend({ threads: 1 });
let calls = 0;
/** The backend with kernels that only count: a call that is refused reaches none of them. */
const counting = {
  ...backend,
  kernel: () => () => {
    calls++;
  },
};

function expectRefusal(
  op: Op,
  inputs: Arrays,
  attributes: unknown,
  expected: { code: string; message?: unknown },
  given: Arrays = {},
): void {
  calls = 0;
  expect(
    () => runOp(counting, op, inputs, attributes, given),
    `${op.name} ${Object.keys(inputs).join(', ')}`,
  ).toThrow(expect.objectContaining(expected));
  expect(calls, op.name).toBe(0);
}

const arrayOf = (dtype: DType, shape: readonly number[]): ArrayView =>
  viewOf(
    dtype,
    shape,
    typedArray(
      dtype,
      null,
      0,
      shape.reduce((product, size) => product * size, 1),
    ),
  );
/** An array that a rule lets pass. */
const fitting = ({ dtypes, axes }: ArrayRule): ArrayView =>
  arrayOf(dtypes[0], new Array<number>(axes ?? 1).fill(1));
const OPS = cpuKernels({ native: () => () => {} } as never).map(({ op }) => op);

describe.each(OPS.map((op) => [op.name, op] as const))('%s, before any kernel runs,', (_, op) => {
  const all = Object.fromEntries(Object.entries(op.takes).map(([name, rule]) => [name, fitting(rule)]));

  test(
    'refuses a call without an input that it needs, with one of another element type, or with another ' +
      'number of axes, and names it',
    () => {
      for (const [name, { isOptional, dtypes, axes }] of Object.entries(op.takes)) {
        if (!isOptional)
          expectRefusal(
            op,
            { ...all, [name]: undefined },
            {},
            { code: 'BAD_ARGUMENT', message: expect.stringContaining(`expected the input ${name}, got`) },
          );
        for (const dtype of (['f32', 'bf16', 'i32', 'u8'] as const).filter(
          (other) => !dtypes.includes(other),
        )) {
          expectRefusal(
            op,
            { ...all, [name]: arrayOf(dtype, all[name].shape) },
            {},
            { code: 'BAD_ARGUMENT', message: expect.stringContaining(`for ${name}, got ${dtype}`) },
          );
        }
        if (axes !== null)
          for (const other of [axes - 1, axes + 1])
            expectRefusal(
              op,
              { ...all, [name]: arrayOf(dtypes[0], new Array<number>(other).fill(1)) },
              {},
              { code: 'BAD_SHAPE', message: expect.stringContaining(`for ${name}, got [`) },
            );
      }
    },
  );
});

const F = (...shape: number[]): ArrayView<'f32'> => f32View(shape);
const ends = i32View([2], [0, 4]);
const matrix = quantizeNf4({ data: new Float32Array(256).fill(0.5), shape: [4, 64] });
const attention = { heads: 2, kvHeads: 1, headDim: 4, scale: 1, softCap: 0, window: 0, computeDtype: 'f32' };
const qkv = { q: F(4, 8), k: F(4, 4), v: F(4, 4), querySegments: ends, keySegments: ends };
const made = { y: F(4, 8), logSumExp: F(2, 4), dy: F(4, 8) };
const layer = { rows: 3, cols: 4, blockSize: 64, nestedOffset: 0, computeDtype: 'f32', scale: 1 };
const operands = { x: F(2, 4), weight: F(3, 4), a: F(1, 4), b: F(1, 3) };
const backwardLayer = { ...layer, accumulate: false, trainFrom: 0, wantsDx: true };
const backwardOperands = { dy: F(2, 3), x: F(2, 4), u: F(2, 1), weight: F(3, 4), a: F(1, 4), b: F(1, 3) };
const packed = { x: F(2, 64), a: F(1, 64), b: F(1, 4), ...quantizedInputs(matrix) };
const packedLayer = { ...quantizedAttributes(matrix), computeDtype: 'f32', scale: 1 };
const pair = { layers: [layer, layer], cols: 4, computeDtype: 'f32' };
const group = { x: F(2, 4), weight0: F(3, 4), weight1: F(3, 4), a0: F(1, 4), b0: F(1, 3) };
const groupBackward = { ...pair, accumulate: false, trainFrom: 0, wantsDx: true };
const adamw = {
  learningRate: 0.1,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0,
  step: 1,
  gradientScale: 1,
};
const states = { parameter: F(3), m: F(3), v: F(3) };

test.each<[string, unknown, object, object, RegExp, object?]>([
  [
    'attention without heads',
    causalAttention,
    { ...qkv, q: F(4, 0) },
    { ...attention, heads: 0 },
    /whole numbers ≥ 1 for heads, kvHeads and headDim.* got 0, 1 and 4/,
  ],
  [
    'attention whose key heads do not divide the others',
    causalAttention,
    { ...qkv, q: F(4, 12), k: F(4, 8), v: F(4, 8) },
    { ...attention, heads: 3, kvHeads: 2 },
    /kvHeads to divide heads/,
  ],
  [
    'attention with a negative cap',
    causalAttention,
    qkv,
    { ...attention, softCap: -1 },
    /0 or more for softCap/,
  ],
  [
    'attention backward with y of another shape',
    causalAttentionBackward,
    { ...qkv, ...made, y: F(2, 8) },
    attention,
    /expected \[4, 8\] for y, got \[2, 8\]/,
  ],
  [
    'attention backward with sums of another shape',
    causalAttentionBackward,
    { ...qkv, ...made, logSumExp: F(2, 3) },
    attention,
    /expected \[2, 4\] for logSumExp/,
  ],
  [
    'an adapted layer whose weight lies the other way',
    adaptedLinear,
    { ...operands, weight: F(4, 3) },
    layer,
    /expected \[3, 4\] for weight, got \[4, 3\]/,
  ],
  [
    'an adapted layer with a bias of another length',
    adaptedLinear,
    { ...operands, bias: F(9) },
    layer,
    /expected \[3\] for bias, got \[9\]/,
  ],
  [
    'an adapted layer with a bias of nothing',
    adaptedLinear,
    { ...operands, bias: F(0) },
    layer,
    /expected \[3\] for bias, got \[0\]/,
  ],
  [
    'an adapted layer without a weight',
    adaptedLinear,
    { ...operands, weight: undefined },
    layer,
    /expected either weight, or codes, levels and the scales of a packed matrix, got x, a, b/,
  ],
  [
    'an adapted layer with two weights',
    adaptedLinear,
    { ...packed, weight: F(4, 64) },
    packedLayer,
    /expected either weight, or codes/,
  ],
  [
    'an adapted layer of blocks of another size',
    adaptedLinear,
    packed,
    { ...packedLayer, blockSize: 128 },
    /expected \[2\] for absmaxCodes, got \[4\]/,
  ],
  [
    'an adapted layer backward with an adapter of other widths',
    adaptedLinearBackward,
    { ...backwardOperands, a: F(1, 9) },
    backwardLayer,
    /expected \[1, 4\] for a, got \[1, 9\]/,
  ],
  [
    'an adapted layer backward with an adapter of two ranks',
    adaptedLinearBackward,
    { ...backwardOperands, b: F(7, 3) },
    backwardLayer,
    /expected \[1, 3\] for b/,
  ],
  [
    'an adapted layer backward with rows of another length',
    adaptedLinearBackward,
    { ...backwardOperands, xAdapter: F(4, 9) },
    backwardLayer,
    /expected \[2, 4\] for xAdapter/,
  ],
  [
    'an adapted layer backward that adds to nothing',
    adaptedLinearBackward,
    backwardOperands,
    { ...backwardLayer, accumulate: true },
    /expected the output dx, which the call changes, got none/,
  ],
  [
    'a group of four layers',
    adaptedLinearGroup,
    group,
    { ...pair, layers: [layer, layer, layer, layer] },
    /expected 1 to 3 layers, got 4/,
  ],
  [
    'a group with half an adapter',
    adaptedLinearGroup,
    { ...group, b0: undefined },
    pair,
    /expected both or neither of a0 and b0, got one/,
  ],
  [
    'a group with a weight too few',
    adaptedLinearGroup,
    { ...group, weight1: undefined },
    pair,
    /expected either weight1, or codes1, levels1 and the scales/,
  ],
  [
    'a group with adapters of two ranks',
    adaptedLinearGroup,
    { ...group, a1: F(2, 4), b1: F(2, 3) },
    pair,
    /expected adapters of one rank, got 1, 2/,
  ],
  [
    'a group backward without a gradient',
    adaptedLinearGroupBackward,
    { ...group, dy0: F(2, 3), u0: F(2, 1) },
    groupBackward,
    /expected \[2, 3\] for dy1, got \[\]/,
  ],
  [
    'a group backward that adds to nothing',
    adaptedLinearGroupBackward,
    { ...group, dy0: F(2, 3), dy1: F(2, 3), u0: F(2, 1) },
    { ...groupBackward, accumulate: true },
    /expected the output dx/,
  ],
  [
    'a gradient that adds to nothing',
    linearInputGradient,
    { dy: F(1, 2), weight: F(2, 4) },
    { computeDtype: 'f32', accumulate: true },
    /expected the output dx/,
  ],
  [
    'a packed gradient that adds to nothing',
    matmulNf4InputGradient,
    { dy: F(1, 4), ...quantizedInputs(matrix) },
    { ...packedLayer, accumulate: true },
    /expected the output dx/,
  ],
  [
    'a norm backward that adds to nothing',
    rmsNormBackward,
    { x: F(4, 4), weight: F(4), inverseRms: F(4), dy: F(4, 4) },
    { epsilon: 0, weightOffset: 0, accumulate: true },
    /expected the output dx/,
  ],
  [
    'a norm backward with one root for four rows',
    rmsNormBackward,
    { x: F(4, 4), weight: F(4), inverseRms: F(1), dy: F(4, 4) },
    { epsilon: 0, weightOffset: 0, accumulate: false },
    /expected \[4\] for inverseRms, got \[1\]/,
  ],
  [
    'a norm backward with a weight of another width',
    rmsNormBackward,
    { x: F(2, 4), weight: F(3), inverseRms: F(2), dy: F(2, 4) },
    { epsilon: 0, weightOffset: 0, accumulate: false },
    /expected \[any, 3\] for x, got \[2, 4\]/,
  ],
  [
    'a layer norm backward with too few means',
    layerNormBackward,
    { x: F(4, 4), weight: F(4), mean: F(1), inverseDeviation: F(4), dy: F(4, 4) },
    { accumulate: false },
    /expected \[4\] for mean/,
  ],
  [
    'a layer norm backward with a weight of another width',
    layerNormBackward,
    { x: F(4, 4), weight: F(9), mean: F(4), inverseDeviation: F(4), dy: F(4, 4) },
    { accumulate: false },
    /expected \[any, 9\] for x/,
  ],
  [
    'a norm with a negative epsilon',
    rmsNorm,
    { x: F(4, 4), weight: F(4) },
    { epsilon: -100, weightOffset: 0 },
    /≥ 0 for epsilon, got -100/,
  ],
  [
    'a residual norm with a negative epsilon',
    residualNorm,
    { a: F(4, 4), b: F(4, 4), weight: F(4) },
    { epsilon: -1, weightOffset: 0 },
    /≥ 0 for epsilon, got -1/,
  ],
  [
    'a layer norm with a negative epsilon',
    layerNorm,
    { x: F(4, 4), weight: F(4) },
    { epsilon: -1 },
    /≥ 0 for epsilon, got -1/,
  ],
  ['a cap of 0', softCap, { x: F(4) }, { cap: 0 }, /a number > 0 for cap, got 0/],
  [
    'a cap backward of two lengths',
    softCapBackward,
    { y: F(5), dy: F(4) },
    { cap: 1 },
    /expected \[4\] for y, got \[5\]/,
  ],
  [
    'a loss with weights for other tokens',
    linearCrossEntropy,
    { x: F(2, 3), weight: F(5, 3), targets: i32View([2], [0, 1]), tokenWeights: F(0) },
    { computeDtype: 'f32', lossScale: 1, gradient: false },
    /expected \[2\] for tokenWeights, got \[0\]/,
  ],
  [
    'a product in a type that is none',
    linear,
    { x: F(1, 4), weight: F(2, 4) },
    { computeDtype: 'fp16' },
    /expected f32 or bf16 for computeDtype, got fp16/,
  ],
  [
    'heads of no width',
    rope,
    { x: F(2, 8), cos: F(2, 1), sin: F(2, 1) },
    { headDim: 0, inverse: false },
    /for headDim, got 0/,
  ],
  [
    'heads with more pairs than they are wide',
    rope,
    { x: F(2, 8), cos: F(2, 3), sin: F(2, 3) },
    { headDim: 4, inverse: false },
    /3 pairs to turn, for headDim, got 4/,
  ],
  [
    'columns for a part of a width',
    splitColumns,
    { x: F(2, 4) },
    { groups: 1, widths: [1.5, 2.5] },
    /whole numbers for groups and widths/,
  ],
  [
    'columns for more tokens than there can be',
    joinColumns,
    {},
    { groups: 1, widths: [0, 0], tokens: 2 ** 50 },
    /whole number of tokens/,
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
    /expected the output y, which the call changes/,
  ],
  [
    'a step without its second moments',
    adamwStep,
    { gradient: F(3) },
    adamw,
    /expected the output v, which the call changes/,
    { parameter: F(3), m: F(3) },
  ],
  [
    'a step that would divide by 0',
    adamwStep,
    { gradient: F(3) },
    { ...adamw, beta1: 1 },
    /expected 0 ≤ β < 1 for beta1 and beta2, got 1 and 0.99/,
    states,
  ],
  [
    'a step without a number',
    adamwStep,
    { gradient: F(3) },
    { ...adamw, learningRate: NaN },
    /expected a number for learningRate, got NaN/,
    states,
  ],
])('%s is refused before any kernel runs', (_, op, inputs, attributes, message, given = {}) => {
  expectRefusal(
    op as Op,
    inputs as Arrays,
    attributes,
    {
      code: expect.stringMatching(/^BAD_(ARGUMENT|SHAPE)$/) as never,
      message: expect.stringMatching(message),
    },
    given as Arrays,
  );
});
