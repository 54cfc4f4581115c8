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

/** One call of an op on arrays that are on the device. */
export interface BenchCall {
  readonly op: string;
  /** `4096 × 2048 bf16`. */
  readonly shape: string;
  /** Bytes that it reads and writes: of each array once, of one that it changes twice. */
  readonly bytes: number;
  /** Multiplications and additions of its products; 0 for an op without any. */
  readonly flops: number;
  enqueue(): void;
}

/**
 * Contents are repeated from so many numbers. Ids of rows and of classes are not made here: a kernel reads as
 * many rows as there are different ids.
 */
const PATTERN = 4096;

/** An array on the device with numbers around 0 in it; whole numbers from 0 on. */
export function placed<D extends DType>(
  { memory }: Backend,
  dtype: D,
  shape: ArraySpec['shape'],
): ArrayView<D> {
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
export function callOf<I extends Arrays, O extends Arrays, A>(
  backend: Backend,
  op: Op<I, O, A>,
  {
    inputs,
    attributes,
    outputs,
    bytes,
  }: {
    readonly inputs: I;
    readonly attributes: A;
    readonly outputs?: Partial<O>;
    /** Instead of those of all arrays. */
    readonly bytes?: number;
  },
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
    bytes: bytes ?? sizeOf(arrays) + sizeOf(changed),
    flops: op.flops?.(inputs, attributes) ?? 0,
    enqueue: () => {
      runOp(backend, op, inputs, attributes, all);
    },
  };
}

/** Weights of a block of 4-bit codes. */
export const BLOCK_SIZE = 64;

/** A matrix of 4-bit codes with a scale for each block. */
export const packedInputs = (backend: Backend, count: number) => ({
  codes: placed(backend, 'u8', [count / 2]),
  levels: placed(backend, 'f32', [16]),
  absmax: placed(backend, 'f32', [count / BLOCK_SIZE]),
  absmaxCodes: undefined,
  nestedAbsmax: undefined,
  nestedMap: undefined,
});
