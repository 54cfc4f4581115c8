import {
  hostData,
  bfloat16Array,
  createHostBackend,
  float32FromBfloat16,
  f32View,
  i32View,
  runOp,
  type Arrays,
  type ArrayView,
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
import { normalView, packedWeight } from '@qdylora/testing';

/** One call of an op, in float32. */
export interface HalfCall {
  readonly op: Op;
  readonly inputs: Arrays;
  readonly attributes: object;
  readonly suppliedOutputs?: Arrays;
  /** Attributes that ask for bf16 results, for ops whose results do not take the dtype of an input. */
  readonly halfAttributes?: object;
}
export interface HalfSizes {
  readonly tokens: number;
  readonly rows: number;
  readonly cols: number;
  readonly r: number;
  readonly seed: number;
  readonly computeDtype: 'f32' | 'bf16';
  readonly flag: boolean;
}

/** Float32 numbers that bf16 represents exactly. */
export const halfNumbers = (seed: number, name: string, shape: readonly number[]): ArrayView<'f32'> =>
  f32View(shape, float32FromBfloat16(bfloat16Array(hostData(normalView(seed, name, shape)))));
const call = <I extends Arrays, O extends Arrays, A extends object>(
  op: Op<I, O, A>,
  inputs: I,
  attributes: A,
  more: Partial<HalfCall> = {},
): HalfCall => ({ op: op as unknown as Op, inputs, attributes, ...more });
const halfOutput = { halfAttributes: { outDtype: 'bf16' } };

/** For each op with arrays that may be bf16, a call of some sizes. */
export const HALF_CALLS: Record<string, (sizes: HalfSizes) => HalfCall> = {
  linear: ({ tokens, rows, cols, seed, computeDtype, flag }) =>
    call(
      linear,
      {
        x: halfNumbers(seed, 'x', [tokens, cols]),
        weight: normalView(seed, 'w', [rows, cols]),
        bias: flag ? normalView(seed, 'b', [rows]) : undefined,
      },
      { computeDtype },
      halfOutput,
    ),
  'the input gradient of linear': ({ tokens, rows, cols, seed, computeDtype }) =>
    call(
      linearInputGradient,
      { dy: halfNumbers(seed, 'dy', [tokens, rows]), weight: normalView(seed, 'w', [rows, cols]) },
      { computeDtype, accumulate: false },
      halfOutput,
    ),
  'the weight gradient of linear': ({ tokens, rows, cols, seed, computeDtype }) =>
    call(
      linearWeightGradient,
      { x: halfNumbers(seed, 'x', [tokens, cols]), dy: halfNumbers(seed, 'dy', [tokens, rows]) },
      { computeDtype },
      {
        suppliedOutputs: {
          dWeight: normalView(seed, 'dw', [rows, cols]),
          dBias: normalView(seed, 'db', [rows]),
        },
      },
    ),
  'a 4-bit weight': ({ tokens, rows, cols, seed, computeDtype }) =>
    call(
      matmulNf4,
      { x: halfNumbers(seed, 'x', [tokens, cols]), ...packedWeight(seed, [rows, cols]) },
      { rows, cols, blockSize: 64, nestedOffset: 0.5, computeDtype },
      halfOutput,
    ),
  'the input gradient of a 4-bit weight': ({ tokens, rows, cols, seed, computeDtype }) =>
    call(
      matmulNf4InputGradient,
      { dy: halfNumbers(seed, 'dy', [tokens, rows]), ...packedWeight(seed, [rows, cols]) },
      { rows, cols, blockSize: 64, nestedOffset: 0.5, computeDtype, accumulate: false },
      halfOutput,
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
      halfOutput,
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
      { suppliedOutputs: gradientsOf(seed, rows, cols, r), halfAttributes: { dxDtype: 'bf16' } },
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
      halfOutput,
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
        suppliedOutputs: {
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
      halfOutput,
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
      halfOutput,
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
        suppliedOutputs: {
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
      { x: halfNumbers(seed, 'x', [tokens, rows]), counter: i32View([1], [3]) },
      { probability: 0.3, key: seed >>> 0 },
    ),
  'a sum of gradients': ({ tokens, rows, seed }) =>
    call(
      addInto,
      { x: halfNumbers(seed, 'x', [tokens, rows]) },
      {},
      { suppliedOutputs: { sum: halfNumbers(seed, 's', [tokens, rows]) } },
    ),
  'a copy': ({ tokens, rows, seed }) => call(copy, { x: halfNumbers(seed, 'x', [tokens, rows]) }, {}),
};

function layerOf(seed: number, rows: number, cols: number, r: number): Record<string, ArrayView | undefined> {
  return {
    ...packedWeight(seed, [rows, cols]),
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

/** Two segments. With `flag`, the second has two rows, which the kernel computes as in decoding. */
function attentionInputs({ tokens, r, seed, flag }: HalfSizes) {
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
function attentionAttributes({ r, rows, computeDtype }: HalfSizes) {
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
