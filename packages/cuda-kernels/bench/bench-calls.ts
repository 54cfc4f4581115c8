import {
  byteLengthOf,
  runOp,
  type Arrays,
  type ArraySpec,
  type ArrayView,
  type Backend,
  type DType,
  type Op,
} from '@qdylora/contract';
import { dequantizeBlockwise } from '@qdylora/quant';
import {
  activationGate,
  activationGateBackward,
  add,
  addInto,
  copy,
  fill,
  residualNorm,
  rmsNorm,
  rmsNormBackward,
  rope,
  ropeTable,
  scaleBy,
} from '@qdylora/tensor';

/** One call of an op on arrays that are on the device. */
export interface BenchCall {
  readonly op: string;
  /** `4096 × 2048 bf16`. */
  readonly shape: string;
  /** Bytes that it reads and writes: of each array once, of one that it changes twice. */
  readonly bytes: number;
  enqueue(): void;
}

const HIDDEN = 2048;
const HEAD_DIM = 128;
const BLOCK_SIZE = 64;
/** Contents are repeated from so many numbers: no kernel here depends on them. */
const PATTERN = 4096;

/** An array on the device with numbers around 0 in it; whole numbers from 0 on. */
function placed<D extends DType>({ memory }: Backend, dtype: D, shape: ArraySpec['shape']): ArrayView<D> {
  const view = memory.allocate(dtype, shape);
  const one = (i: number): number => Math.sin(i % PATTERN);
  memory.fill(view, (values) => {
    for (let i = 0; i < values.length; i++)
      // 0x3f00 + 0…127: bfloat16 numbers from 0.5 to 1
      values[i] = dtype === 'f32' ? one(i) : dtype === 'bf16' ? 0x3f00 + (i % 128) : i % 16;
  });
  return view;
}

/** A call whose outputs exist, so that nothing is allocated while it is measured. */
function callOf<I extends Arrays, O extends Arrays, A>(
  backend: Backend,
  op: Op<I, O, A>,
  {
    inputs,
    attributes,
    outputs,
  }: { readonly inputs: I; readonly attributes: A; readonly outputs?: Partial<O> },
): BenchCall {
  const all = runOp(backend, op, inputs, attributes, outputs);
  const arrays = [...new Set([...Object.values(inputs), ...Object.values(all)])].filter((view) => !!view);
  const changed = [...(op.updates ?? []), ...(op.accumulates ?? [])].map((name) => all[name]);
  const sizeOf = (views: readonly (ArrayView | undefined)[]): number =>
    views.reduce((sum, view) => sum + (view ? byteLengthOf(view) : 0), 0);
  const largest = arrays.reduce((a, b) => (byteLengthOf(b) > byteLengthOf(a) ? b : a));
  return {
    op: op.name,
    shape: `${largest.shape.join(' × ')} ${largest.dtype}`,
    bytes: sizeOf(arrays) + sizeOf(changed),
    enqueue: () => {
      runOp(backend, op, inputs, attributes, all);
    },
  };
}

/**
 * Calls of the ops that are bound by the bandwidth of memory, in both float types where they have both.
 * `tokens`: rows of the arrays, of 2048 columns each.
 */
export function benchCalls(backend: Backend, tokens: number): BenchCall[] {
  const matrix = [tokens, HIDDEN];
  const norm = { epsilon: 1e-5, weightOffset: 0 };
  const weight = placed(backend, 'f32', [HIDDEN]);
  const [cos, sin] = [1, 2].map(() => placed(backend, 'f32', [tokens, HEAD_DIM / 2]));
  const inverseRms = placed(backend, 'f32', [tokens]);
  const x = placed(backend, 'f32', matrix);
  const factor = placed(backend, 'f32', [1]);
  const ofBoth = (['f32', 'bf16'] as const).flatMap((dtype) => {
    const [a, b, dy] = [1, 2, 3].map(() => placed(backend, dtype, matrix));
    const outDtype = dtype === 'bf16' ? { outDtype: dtype } : {};
    return [
      callOf(backend, copy, { inputs: { x: a }, attributes: {} }),
      callOf(backend, addInto, { inputs: { x: a }, attributes: {}, outputs: { sum: dy } }),
      callOf(backend, rmsNorm, { inputs: { x, weight }, attributes: { ...norm, ...outDtype } }),
      callOf(backend, rmsNormBackward, {
        inputs: { x, weight, inverseRms, dy },
        attributes: { ...norm, accumulate: false },
      }),
      callOf(backend, activationGate, { inputs: { gate: a, up: b }, attributes: { kind: 'silu' } }),
      callOf(backend, activationGateBackward, {
        inputs: { gate: a, up: b, dy },
        attributes: { kind: 'silu' },
      }),
      callOf(backend, rope, {
        inputs: { x: a, cos, sin },
        attributes: { headDim: HEAD_DIM, inverse: false },
      }),
      callOf(backend, dequantizeBlockwise, {
        inputs: packedInputs(backend, tokens * HIDDEN),
        attributes: {
          rows: tokens,
          cols: HIDDEN,
          blockSize: BLOCK_SIZE,
          nestedOffset: 0,
          tiled: false,
          valuesDtype: dtype,
        },
      }),
    ];
  });
  return [
    ...ofBoth,
    callOf(backend, add, { inputs: { a: x, b: placed(backend, 'f32', matrix) }, attributes: {} }),
    callOf(backend, fill, { inputs: {}, attributes: { value: 1, shape: matrix } }),
    callOf(backend, scaleBy, { inputs: { x, factor }, attributes: {} }),
    callOf(backend, residualNorm, {
      inputs: { a: x, b: placed(backend, 'f32', matrix), weight },
      attributes: norm,
    }),
    callOf(backend, ropeTable, {
      inputs: {
        positions: placed(backend, 'i32', [tokens]),
        inverseFrequencies: placed(backend, 'f32', [HEAD_DIM / 2]),
      },
      attributes: { scale: 1 },
    }),
  ];
}

/** A matrix of 4-bit codes with a scale for each block. */
const packedInputs = (backend: Backend, count: number) => ({
  codes: placed(backend, 'u8', [count / 2]),
  levels: placed(backend, 'f32', [16]),
  absmax: placed(backend, 'f32', [count / BLOCK_SIZE]),
  absmaxCodes: undefined,
  nestedAbsmax: undefined,
  nestedMap: undefined,
});
