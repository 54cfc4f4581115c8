import {
  hostData,
  bfloat16Array,
  createHostBackend,
  float32FromBfloat16,
  f32View,
  i32View,
  runOp,
  viewOf,
  type Arrays,
  type ArrayView,
  type Backend,
  type Op,
} from '@qdylora/contract';
import {
  adaptedLinear,
  adaptedLinearBackward,
  adaptedLinearGroup,
  adaptedLinearGroupBackward,
} from '@qdylora/lora-dynamic';
import { matmulNf4, matmulNf4InputGradient } from '@qdylora/quant';
import {
  activationGate,
  activationGateBackward,
  addInto,
  causalAttention,
  causalAttentionBackward,
  copy,
  dropout,
  linear,
  linearInputGradient,
  linearWeightGradient,
  residualNorm,
  rmsNorm,
  rmsNormBackward,
  rope,
} from '@qdylora/tensor';
import {
  arbitrarySeed,
  arbitrarySize,
  describeBitDifference,
  normalView,
  packedWeight,
} from '@qdylora/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { everyLevel } from './every-level.ts';

// What an op takes as float32 it also takes as bf16 (`halves`): the same numbers give the same bits, rounded
// once. With the tests of each kernel, which compare float32 with the reference, this covers bf16.
const levels = await everyLevel([1, 2, 3], { batchInvariant: true });

interface Call {
  readonly op: Op;
  readonly inputs: Arrays;
  readonly attributes: object;
  readonly given?: Arrays;
  /** What asks for bf16 where no input tells. */ readonly asked?: object;
}
interface Sizes {
  readonly tokens: number;
  readonly rows: number;
  readonly cols: number;
  readonly r: number;
  readonly seed: number;
  readonly computeDtype: 'f32' | 'bf16';
  readonly flag: boolean;
}

/** float32 numbers that bf16 has. */
const halfNumbers = (seed: number, name: string, shape: readonly number[]): ArrayView<'f32'> =>
  f32View(shape, float32FromBfloat16(bfloat16Array(hostData(normalView(seed, name, shape)))));
const call = <I extends Arrays, O extends Arrays, A extends object>(
  op: Op<I, O, A>,
  inputs: I,
  attributes: A,
  more: Partial<Call> = {},
): Call => ({ op: op as unknown as Op, inputs, attributes, ...more });
const asked = { asked: { outDtype: 'bf16' } };

const CALLS: Record<string, (sizes: Sizes) => Call> = {
  linear: ({ tokens, rows, cols, seed, computeDtype, flag }) =>
    call(
      linear,
      {
        x: halfNumbers(seed, 'x', [tokens, cols]),
        weight: normalView(seed, 'w', [rows, cols]),
        bias: flag ? normalView(seed, 'b', [rows]) : undefined,
      },
      { computeDtype },
      asked,
    ),
  'the input gradient of linear': ({ tokens, rows, cols, seed, computeDtype }) =>
    call(
      linearInputGradient,
      { dy: halfNumbers(seed, 'dy', [tokens, rows]), weight: normalView(seed, 'w', [rows, cols]) },
      { computeDtype, accumulate: false },
      asked,
    ),
  'the weight gradient of linear': ({ tokens, rows, cols, seed, computeDtype }) =>
    call(
      linearWeightGradient,
      { x: halfNumbers(seed, 'x', [tokens, cols]), dy: halfNumbers(seed, 'dy', [tokens, rows]) },
      { computeDtype },
      { given: { dWeight: normalView(seed, 'dw', [rows, cols]), dBias: normalView(seed, 'db', [rows]) } },
    ),
  'a 4-bit weight': ({ tokens, rows, cols, seed, computeDtype }) =>
    call(
      matmulNf4,
      { x: halfNumbers(seed, 'x', [tokens, cols]), ...packedWeight(seed, rows, cols, 64, true) },
      { rows, cols, blockSize: 64, nestedOffset: 0.5, computeDtype },
      asked,
    ),
  'the input gradient of a 4-bit weight': ({ tokens, rows, cols, seed, computeDtype }) =>
    call(
      matmulNf4InputGradient,
      { dy: halfNumbers(seed, 'dy', [tokens, rows]), ...packedWeight(seed, rows, cols, 64, true) },
      { rows, cols, blockSize: 64, nestedOffset: 0.5, computeDtype, accumulate: false },
      asked,
    ),
  'an adapted layer': ({ tokens, rows, cols, r, seed, computeDtype, flag }) =>
    call(
      adaptedLinear,
      {
        ...layerOf(seed, rows, cols, r),
        x: halfNumbers(seed, 'x', [tokens, cols]),
        xAdapter: flag ? halfNumbers(seed, 'xa', [tokens, cols]) : undefined,
      } as never,
      layerAttributes(rows, cols, computeDtype),
      asked,
    ),
  'the backward of an adapted layer': ({ tokens, rows, cols, r, seed, computeDtype, flag }) =>
    call(
      adaptedLinearBackward,
      {
        ...layerOf(seed, rows, cols, r),
        x: halfNumbers(seed, 'x', [tokens, cols]),
        xAdapter: flag ? halfNumbers(seed, 'xa', [tokens, cols]) : undefined,
        dy: halfNumbers(seed, 'dy', [tokens, rows]),
        u: normalView(seed, 'u', [tokens, r]),
      } as never,
      { ...layerAttributes(rows, cols, computeDtype), accumulate: false, trainFrom: 0, wantsDx: true },
      { given: gradientsOf(seed, rows, cols, r), asked: { dxDtype: 'bf16' } },
    ),
  'a group': ({ tokens, rows, cols, r, seed, computeDtype }) =>
    call(
      adaptedLinearGroup,
      {
        x: halfNumbers(seed, 'x', [tokens, cols]),
        ...numberedBy(0, layerOf(seed, rows, cols, r)),
        ...numberedBy(1, layerOf(seed + 1, 33, cols, r)),
      },
      {
        layers: [layerAttributes(rows, cols, computeDtype), layerAttributes(33, cols, computeDtype)],
        cols,
        computeDtype,
      },
      asked,
    ),
  'the backward of a group': ({ tokens, rows, cols, r, seed, computeDtype }) =>
    call(
      adaptedLinearGroupBackward,
      {
        x: halfNumbers(seed, 'x', [tokens, cols]),
        ...numberedBy(0, {
          ...layerOf(seed, rows, cols, r),
          dy: halfNumbers(seed, 'dy', [tokens, rows]),
          u: normalView(seed, 'u', [tokens, r]),
        }),
        ...numberedBy(1, {
          ...layerOf(seed + 1, 33, cols, r),
          dy: halfNumbers(seed, 'dz', [tokens, 33]),
          u: normalView(seed, 'v', [tokens, r]),
        }),
      },
      {
        layers: [layerAttributes(rows, cols, computeDtype), layerAttributes(33, cols, computeDtype)],
        cols,
        computeDtype,
        accumulate: false,
        trainFrom: 0,
        wantsDx: true,
      },
      {
        given: {
          ...numberedBy(0, gradientsOf(seed, rows, cols, r)),
          ...numberedBy(1, gradientsOf(seed, 33, cols, r)),
        },
      },
    ),
  'a gate': ({ tokens, rows, seed }) =>
    call(
      activationGate,
      { gate: halfNumbers(seed, 'gate', [tokens, rows]), up: halfNumbers(seed, 'up', [tokens, rows]) },
      { kind: 'silu' },
    ),
  'the backward of a gate': ({ tokens, rows, seed }) =>
    call(
      activationGateBackward,
      {
        gate: halfNumbers(seed, 'gate', [tokens, rows]),
        up: halfNumbers(seed, 'up', [tokens, rows]),
        dy: halfNumbers(seed, 'dy', [tokens, rows]),
      },
      { kind: 'gelu_tanh' },
    ),
  'a norm': ({ tokens, cols, seed }) =>
    call(
      rmsNorm,
      { x: normalView(seed, 'x', [tokens, cols]), weight: normalView(seed, 'w', [cols]) },
      { epsilon: 1e-5, weightOffset: 0 },
      asked,
    ),
  'a residual norm': ({ tokens, cols, seed }) =>
    call(
      residualNorm,
      {
        a: normalView(seed, 'a', [tokens, cols]),
        b: normalView(seed, 'b', [tokens, cols]),
        weight: normalView(seed, 'w', [cols]),
      },
      { epsilon: 1e-5, weightOffset: 1 },
      asked,
    ),
  'the backward of a norm': ({ tokens, cols, seed, flag }) =>
    call(
      rmsNormBackward,
      {
        x: normalView(seed, 'x', [tokens, cols]),
        weight: normalView(seed, 'w', [cols]),
        inverseRms: normalView(seed, 'i', [tokens]),
        dy: halfNumbers(seed, 'dy', [tokens, cols]),
      },
      { epsilon: 1e-5, weightOffset: 0, accumulate: flag },
      {
        given: {
          dWeight: normalView(seed, 'dw', [cols]),
          ...(flag && { dx: normalView(seed, 'dx', [tokens, cols]) }),
        },
      },
    ),
  rope: ({ tokens, rows, r, seed, flag }) =>
    call(
      rope,
      {
        x: halfNumbers(seed, 'x', [tokens, 3 * (2 * r + (rows % 3))]),
        cos: normalView(seed, 'cos', [tokens, r]),
        sin: normalView(seed, 'sin', [tokens, r]),
      },
      { headDim: 2 * r + (rows % 3), inverse: flag },
    ),
  attention: (sizes) => call(causalAttention, attentionInputs(sizes), attentionAttributes(sizes)),
  'the backward of attention': (sizes) => {
    const inputs = attentionInputs(sizes);
    const attributes = attentionAttributes(sizes);
    const { logSumExp } = runOp(createHostBackend(), causalAttention, inputs, attributes);
    const { shape } = inputs.q;
    return call(
      causalAttentionBackward,
      {
        ...inputs,
        y: halfNumbers(sizes.seed, 'y', shape),
        dy: halfNumbers(sizes.seed, 'dy', shape),
        logSumExp,
      },
      attributes,
    );
  },
  dropout: ({ tokens, rows, seed }) =>
    call(
      dropout,
      { x: halfNumbers(seed, 'x', [tokens, rows]) },
      { probability: 0.3, key: seed >>> 0, counter: 3 },
    ),
  'a sum of gradients': ({ tokens, rows, seed }) =>
    call(
      addInto,
      { x: halfNumbers(seed, 'x', [tokens, rows]) },
      {},
      { given: { sum: halfNumbers(seed, 's', [tokens, rows]) } },
    ),
  'a copy': ({ tokens, rows, seed }) => call(copy, { x: halfNumbers(seed, 'x', [tokens, rows]) }, {}),
};

function layerOf(seed: number, rows: number, cols: number, r: number): Record<string, ArrayView | undefined> {
  return {
    ...packedWeight(seed, rows, cols, 64, true),
    a: normalView(seed, 'a', [r, cols]),
    b: normalView(seed, 'b', [r, rows]),
  } as never;
}
function layerAttributes(rows: number, cols: number, computeDtype: 'f32' | 'bf16') {
  return { rows, cols, blockSize: 64, nestedOffset: 0.5, computeDtype, scale: 0.7 };
}
function gradientsOf(seed: number, rows: number, cols: number, r: number): Arrays {
  return { da: normalView(seed, 'da', [r, cols]), db: normalView(seed, 'db', [r, rows]) };
}
function numberedBy(i: number, arrays: Arrays): Record<string, ArrayView | undefined> {
  return Object.fromEntries(Object.entries(arrays).map(([name, view]) => [name + i, view]));
}

/** Two segments; where `flag`, the second has so few columns that it is worked on as decoding is. */
function attentionInputs({ tokens, r, seed, flag }: Sizes) {
  const second = flag ? 2 : 40;
  const total = tokens + second;
  const width = 1 + (r % 20);
  const segments = i32View([3], [0, tokens, total]);
  const rows = (name: string, heads: number) => halfNumbers(seed, name, [total, heads * width]);
  return {
    q: rows('q', 4),
    k: rows('k', 2),
    v: rows('v', 2),
    querySegments: segments,
    keySegments: segments,
    alibiSlopes: undefined,
  };
}
function attentionAttributes({ r, rows, computeDtype }: Sizes) {
  return {
    heads: 4,
    kvHeads: 2,
    headDim: 1 + (r % 20),
    scale: 0.3,
    softCap: rows % 3 === 0 ? 5 : 0,
    window: rows % 4 === 0 ? 30 : 0,
    computeDtype,
  };
}

const arbitrarySizes: fc.Arbitrary<Sizes> = fc
  .record({
    tokens: fc.oneof(arbitrarySize(40), arbitrarySize(150)),
    rows: arbitrarySize(150),
    cols: fc.oneof(
      fc.constantFrom(64, 128, 704),
      arbitrarySize(100).map((n) => n + 1),
    ),
    r: arbitrarySize(40).map((n) => n + 1),
    seed: arbitrarySeed,
    computeDtype: fc.constantFrom<'f32' | 'bf16'>('f32', 'bf16'),
    flag: fc.boolean(),
  })
  .map((sizes) => ({ ...sizes, tokens: sizes.tokens + 1, rows: sizes.rows + 1 }));

/** The arrays that may be bf16, as bf16. */
const halved = (arrays: Arrays, { halves = [] }: Op): Arrays =>
  Object.fromEntries(
    Object.entries(arrays).map(([name, view]) => [
      name,
      view && halves.includes(name)
        ? viewOf('bf16', view.shape, bfloat16Array(hostData(view) as Float32Array))
        : view,
    ]),
  );
/** Fresh copies: `given` arrays are added to. */
const fresh = (arrays: Arrays): Arrays =>
  Object.fromEntries(
    Object.entries(arrays).map(([name, view]) => [
      name,
      view && viewOf(view.dtype, view.shape, hostData(view).slice() as never),
    ]),
  );

function assertSameBits(
  label: string,
  backend: Backend,
  { op, inputs, attributes, given = {}, asked: how = {} }: Call,
): void {
  backend.memory.scoped(() => {
    const want = halved(runOp(backend, op, inputs, attributes, fresh(given)), op);
    const got = runOp(backend, op, halved(inputs, op), { ...attributes, ...how }, fresh(halved(given, op)));
    for (const name of Object.keys(want)) {
      if (!want[name]) continue;
      expect(got[name]!.dtype, `${label}: ${name}`).toBe(want[name].dtype);
      const problem = describeBitDifference(
        `${op.name} at ${label} ${JSON.stringify(attributes)}`,
        got[name]!,
        want[name],
        name,
      );
      if (problem) throw new Error(problem);
    }
  });
}

describe.each(Object.entries(CALLS))('%s', (_, make) => {
  test('gives the same bits for numbers in bf16 as in float32, rounded once', () => {
    fc.assert(
      fc.property(arbitrarySizes, (sizes) => {
        const made = make(sizes);
        assertSameBits('the reference', createHostBackend(), made);
        for (const { label, backends } of levels)
          for (const backend of backends) assertSameBits(label, backend, made);
      }),
      { numRuns: 12 },
    );
  });

  test('does so without tokens and without columns, for arrays to which JavaScript gives no address', () => {
    for (const [tokens, rows] of [
      [0, 6],
      [3, 0],
      [0, 0],
    ] as const) {
      for (const flag of [false, true]) {
        const made = make({ tokens, rows, cols: 64, r: 2, seed: 1, computeDtype: 'bf16', flag });
        for (const { label, backends } of levels)
          for (const backend of backends) assertSameBits(label, backend, made);
      }
    }
  });
});

test.each([
  [1100, 150],
  [1700, 70],
])('several row blocks, depth blocks and groups do too (%i rows)', (tokens, rows) => {
  for (const name of [
    'an adapted layer',
    'the backward of an adapted layer',
    'a group',
    'the backward of a group',
  ]) {
    const made = CALLS[name]({ tokens, rows, cols: 704, r: 8, seed: 1, computeDtype: 'bf16', flag: false });
    for (const { label, backends } of levels)
      for (const backend of backends) assertSameBits(label, backend, made);
  }
});

test('a gradient in bf16 that is added to is rounded once', () => {
  const [tokens, rows, cols] = [70, 100, 192];
  const dy = halfNumbers(1, 'dy', [tokens, rows]);
  const dx = halfNumbers(1, 'dx', [tokens, cols]);
  const weight = normalView(1, 'w', [rows, cols]);
  const attributes = { computeDtype: 'f32' as const, accumulate: true };
  for (const { backends } of levels) {
    for (const backend of backends) {
      const want = hostData(
        runOp(backend, linearInputGradient, { dy, weight }, attributes, fresh({ dx })).dx,
      );
      const got = runOp(
        backend,
        linearInputGradient,
        halved({ dy, weight }, linearInputGradient as never) as never,
        { ...attributes, outDtype: 'bf16' },
        fresh(halved({ dx }, linearInputGradient as never)) as never,
      ).dx;
      float32FromBfloat16(hostData(got) as Uint16Array)
        .subarray(0, tokens * cols)
        .forEach((value, i) => {
          expect(Math.abs(value - want[i])).toBeLessThanOrEqual(2 ** -8 * Math.abs(want[i]) + 1e-4);
        });
    }
  }
});
