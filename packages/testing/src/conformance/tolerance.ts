import {
  hostData,
  elementCount,
  isHalfDType,
  runOp,
  createHostBackend,
  viewOf,
  type Arrays,
  type ArrayView,
  type FloatDType,
  type Op,
} from '@qdylora/contract';

/** Half a unit in the last place of 1 in float32: the relative error of one rounding. */
export const EPSILON = 2 ** -24;

/**
 * The relative error of one rounding to an operand of a product: half a unit in the last of 24, 8 and 11
 * bits.
 */
export const OPERAND_ROUNDING: Readonly<Record<FloatDType, number>> = {
  f32: EPSILON,
  bf16: 2 ** -8,
  f16: 2 ** -11,
};

/**
 * The step between the smallest operands, which they have below 2⁻¹⁴ in float16. In bfloat16 it is far below
 * every bound.
 */
export const SMALLEST_STEP: Readonly<Record<FloatDType, number>> = { f32: 0, bf16: 0, f16: 2 ** -24 };

/** How far output `name` may be from the reference at element `index`. */
export type Bound = (name: string, index: number, want: number) => number;

/**
 * `roundings` roundings of a value of that size, and one subnormal step near 0; of 0 roundings nothing. For
 * ops whose every output element is a short chain of operations.
 */
export const relativeBound =
  (roundings: number): Bound =>
  (_, __, want) =>
    roundings === 0 ? 0 : roundings * EPSILON * Math.abs(want) + 2 ** -149;

/** A call whose results are bounded. */
export interface BoundedCall<I extends Arrays, O extends Arrays, A> {
  readonly inputs: I;
  readonly attributes: A;
  readonly suppliedOutputs?: Partial<O>;
}

/**
 * `roundings` · ε · Σ|terms|: for sums of products. Σ|terms| is what the reference makes of the inputs'
 * absolute values, so it fits every op that is a sum of products of its inputs. A sum of n terms in any order
 * has at most n roundings per term; blocked sums have fewer.
 */
export function magnitudeBound<I extends Arrays, O extends Arrays, A>(
  op: Op<I, O, A>,
  { inputs, attributes, suppliedOutputs = {} }: BoundedCall<I, O, A>,
  roundings: number,
): Bound {
  const magnitudes = runOp(
    createHostBackend(),
    op,
    absolutes(inputs),
    attributes,
    absolutes(suppliedOutputs),
  );
  return (name, index) =>
    roundings * EPSILON * (hostData(magnitudes[name] as ArrayView)[index] as number) + 2 ** -140;
}

/** The same arrays with |x| in place of each float x; integers stay. */
function absolutes<T extends Arrays>(arrays: T): T {
  const result: Record<string, ArrayView | undefined> = {};
  for (const [name, view] of Object.entries(arrays)) {
    result[name] =
      view?.dtype === 'f32'
        ? viewOf(
            'f32',
            view.shape,
            Float32Array.from(hostData(view).subarray(0, elementCount(view.shape)) as Float32Array, Math.abs),
          )
        : isHalfDType(view?.dtype)
          ? viewOf(
              view.dtype,
              view.shape,
              Uint16Array.from(
                hostData(view).subarray(0, elementCount(view.shape)) as Uint16Array,
                (bits) => bits & 0x7fff,
              ),
            )
          : view;
  }
  return result as T;
}
