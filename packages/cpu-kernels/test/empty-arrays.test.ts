import {
  hostData,
  f32View,
  i32View,
  runOp,
  viewOf,
  type Arrays,
  type ArrayView,
  type Op,
} from '@qdylora/contract';
import { packedWeight } from '@qdylora/testing';
import { adaptedLinear } from '@qdylora/lora-dynamic';
import { dequantizeBlockwise, matmulNf4, quantizeBlockwise } from '@qdylora/quant';
import {
  add,
  addInto,
  activation,
  appendRows,
  causalAttention,
  causalAttentionBackward,
  copy,
  embedding,
  embeddingBackward,
  joinColumns,
  layerNorm,
  linearArgmax,
  linearCrossEntropy,
  linearCrossEntropyTopK,
  linearDistillation,
  quantizeRows,
  scaleBy,
  splitColumns,
} from '@qdylora/tensor';
import { describe, expect, test } from 'vitest';
import { everyLevel } from './every-level.ts';

// JavaScript gives an empty array no address. Outputs too are made by it here: a backend's memory gives even
// empty ones a place. Those of half-rows.prop.test.ts are not repeated.
const levels = await everyLevel();

const f32 = (...shape: number[]): ArrayView<'f32'> => f32View(shape);
const bf16 = (...shape: number[]): ArrayView<'bf16'> =>
  viewOf('bf16', shape, new Uint16Array(shape.reduce((a, b) => a * b, 1)));
const u8 = (...shape: number[]): ArrayView<'u8'> =>
  viewOf('u8', shape, new Uint8Array(shape.reduce((a, b) => a * b, 1)));
const ids = i32View([0], []);

interface Call {
  readonly op: Op;
  readonly inputs: Arrays;
  readonly attributes: unknown;
  readonly given: Arrays;
}
const call = <I extends Arrays, O extends Arrays, A>(
  op: Op<I, O, A>,
  inputs: I,
  attributes: A,
  given: Arrays,
): Call => ({ op: op as unknown as Op, inputs, attributes, given });

const compute = { computeDtype: 'bf16' as const };
const heads = { heads: 2, kvHeads: 1, headDim: 4, window: 0, scale: 1, softCap: 0, ...compute };
const ends = i32View([2], [0, 0]);
const attention = (rows: (...shape: number[]) => ArrayView<'f32'> | ArrayView<'bf16'>): Call =>
  call(
    causalAttention,
    { q: rows(0, 8), k: rows(0, 4), v: rows(0, 4), querySegments: ends, keySegments: ends },
    heads,
    { y: rows(0, 8), logSumExp: f32(2, 0) },
  );
const attentionBackward = (rows: (...shape: number[]) => ArrayView<'f32'> | ArrayView<'bf16'>): Call =>
  call(
    causalAttentionBackward,
    {
      q: rows(0, 8),
      k: rows(0, 4),
      v: rows(0, 4),
      querySegments: ends,
      keySegments: ends,
      y: rows(0, 8),
      logSumExp: f32(2, 0),
      dy: rows(0, 8),
    },
    heads,
    { dq: rows(0, 8), dk: rows(0, 4), dv: rows(0, 4) },
  );
const packed = { rows: 0, cols: 64, blockSize: 64, nestedOffset: 0 };

const CALLS: Record<string, Call> = {
  add: call(add, { a: f32(0), b: f32(0) }, {}, { y: f32(0) }),
  'a sum of bf16 gradients': call(addInto, { x: bf16(0) }, {}, { sum: bf16(0) }),
  'a copy of bf16 numbers': call(copy, { x: bf16(0, 3) }, {}, { y: bf16(0, 3) }),
  'an activation': call(activation, { x: f32(0, 3) }, { kind: 'silu' }, { y: f32(0, 3) }),
  scaling: call(scaleBy, { x: f32(0), factor: f32(1) }, {}, { y: f32(0) }),
  'newest rows': call(appendRows, { x: f32(0, 4), segments: ends }, { rows: 3 }, { y: f32(3, 4) }),
  'attention in float32': attention(f32),
  'attention in bf16': attention(bf16),
  'the backward of attention in float32': attentionBackward(f32),
  'the backward of attention in bf16': attentionBackward(bf16),
  'an embedding': call(embedding, { weight: bf16(3, 4), ids }, {}, { y: f32(0, 4) }),
  'the backward of an embedding': call(
    embeddingBackward,
    { ids, dy: f32(0, 4) },
    { rows: 3 },
    { dWeight: f32(3, 4) },
  ),
  'a layer norm': call(
    layerNorm,
    { x: f32(0, 4), weight: f32(4), bias: f32(4) },
    { epsilon: 1e-5 },
    { y: f32(0, 4), mean: f32(0), inverseDeviation: f32(0) },
  ),
  'taking columns apart': call(
    splitColumns,
    { x: f32(0, 6) },
    { groups: 1, widths: [3, 2, 1] },
    { first: f32(0, 3), second: f32(0, 2), third: f32(0, 1) },
  ),
  'joining columns': call(
    joinColumns,
    { first: f32(0, 3), second: f32(0, 2), third: f32(0, 1) },
    { groups: 1, widths: [3, 2, 1], tokens: 0 },
    { x: f32(0, 6) },
  ),
  'the likeliest token': call(
    linearArgmax,
    { x: f32(0, 4), weight: bf16(3, 4), codes: u8(3, 4), scales: f32(3) },
    compute,
    { ids, logits: f32(0) },
  ),
  'a loss': call(
    linearCrossEntropy,
    { x: f32(0, 4), weight: bf16(3, 4), targets: ids },
    { ...compute, lossScale: 1, gradient: true },
    { loss: f32(1), tokenLosses: f32(0), dx: f32(0, 4) },
  ),
  'a loss whose head is trained': call(
    linearCrossEntropy,
    { x: f32(0, 4), weight: f32(3, 4), targets: ids },
    { ...compute, lossScale: 1, gradient: true },
    { loss: f32(1), tokenLosses: f32(0), dx: f32(0, 4), dWeight: f32(3, 4) },
  ),
  'a loss and the most likely classes': call(
    linearCrossEntropyTopK,
    { x: f32(0, 4), weight: bf16(3, 4), targets: ids },
    { ...compute, lossScale: 1, gradient: true, topK: 2 },
    {
      loss: f32(1),
      tokenLosses: f32(0),
      dx: f32(0, 4),
      topIds: i32View([0, 2], []),
      topLogProbabilities: f32(0, 2),
      tailMass: f32(0),
    },
  ),
  'a loss from soft targets': call(
    linearDistillation,
    {
      x: f32(0, 4),
      weight: bf16(3, 4),
      targets: ids,
      topIds: i32View([0, 2], []),
      topLogProbabilities: f32(0, 2),
      tailMass: f32(0),
    },
    { ...compute, lossScale: 1, gradient: true, distillation: 0.5 },
    { loss: f32(1), tokenLosses: f32(0), dx: f32(0, 4) },
  ),
  'codes of rows': call(quantizeRows, { weight: bf16(0, 4) }, {}, { codes: u8(0, 4), scales: f32(0) }),
  '4-bit codes of bf16 numbers': call(
    quantizeBlockwise,
    { values: bf16(0) },
    { kind: 'nf4', blockSize: 64 },
    { codes: u8(0), absmax: f32(0) },
  ),
  'a 4-bit matrix without rows, decoded to float32': call(
    dequantizeBlockwise,
    { ...packedWeight(1, [0, 64], { nested: false }) },
    packed,
    { values: f32(0, 64) },
  ),
  'a 4-bit matrix without rows, decoded to bf16': call(
    dequantizeBlockwise,
    { ...packedWeight(1, [0, 64]) },
    { ...packed, valuesDtype: 'bf16' },
    { values: bf16(0, 64) },
  ),
  'a product with a 4-bit matrix without rows': call(
    matmulNf4,
    { x: bf16(3, 64), ...packedWeight(1, [0, 64], { nested: false }) },
    { ...packed, ...compute },
    { y: f32(3, 0) },
  ),
};

describe.each(Object.entries(CALLS))('%s', (_, { op, inputs, attributes, given }) => {
  test('of nothing succeeds, and leaves what it is given as it was', () => {
    for (const { label, backends } of levels) {
      for (const backend of backends) {
        if (!backend.kernel(op.name)) throw new Error(`${op.name}: no kernel at ${label}`);
        const outputs = runOp(backend, op, inputs, attributes, given);
        for (const [name, view] of Object.entries(outputs))
          expect(
            [...hostData(view!)].every((value) => value === 0),
            `${label}: ${name}`,
          ).toBe(true);
      }
    }
  });
});

test('what is empty is given all the same: a bias that is too short is refused, not passed over', () => {
  const x = f32(1, 1);
  const weight = f32(8, 1);
  const a = f32(1, 1);
  const b = f32(1, 8);
  const attributes = {
    rows: 8,
    cols: 1,
    blockSize: 0,
    nestedOffset: 0,
    computeDtype: 'f32' as const,
    scale: 1,
  };
  for (const {
    backends: [backend],
  } of levels) {
    expect(() =>
      backend!.native('linearForward')(
        hostData(x),
        hostData(weight),
        new Float32Array(0),
        new Float32Array(8),
        new Float32Array(1 << 20),
        1,
        8,
        1,
        false,
      ),
    ).toThrow(/argument 3 must have at least 8 elements \(got 0\)/);
    expect(() => runOp(backend!, adaptedLinear, { x, weight, bias: f32(0), a, b }, attributes)).toThrow();
  }
});
