import { typedArray, type DataOf, type DType, type FloatDType } from './dtype.ts';
import { contiguousStrides, elementCount, sameShape, shapeText, type Shape } from './shape.ts';
import { QdyloraError } from './errors.ts';

/**
 * Where the numbers of one array are: element type, shape, strides (in elements) and the memory, which begins
 * at the first element.
 */
export interface ArrayView<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: Shape;
  readonly strides: Shape;
  readonly data: DataOf[D];
}

/** Numbers of either float type. */
export type FloatView = ArrayView<FloatDType>;

/** Element type and shape of an array that does not exist yet. */
export interface ArraySpec {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Throws `BAD_ARGUMENT` unless the array has this element type. */
export const assertDtype = (where: string, name: string, got: ArrayView, expected: DType): void => {
  if (got.dtype !== expected) refuse(where, `expected ${expected} for ${name}, got ${got.dtype}`);
};

// A message is made where it is thrown: these functions run a thousand times a step.
function refuse(where: string, problem: string): never {
  throw new QdyloraError('BAD_ARGUMENT', { where, problem });
}

/** A view of `data` as a contiguous row-major array. `data` may be longer than the shape needs. */
export function viewOf<D extends DType>(dtype: D, shape: Shape, data: DataOf[D]): ArrayView<D> {
  if (data.length < elementCount(shape))
    refuse(
      'array-view',
      `expected at least ${elementCount(shape)} elements for ${dtype} ${shapeText(shape)}, got ${data.length}`,
    );
  return { dtype, shape, strides: contiguousStrides(shape), data };
}

/** A float32 array of its own memory, from numbers. */
export const f32View = (
  shape: Shape,
  values: ArrayLike<number> = new Float32Array(elementCount(shape)),
): ArrayView<'f32'> =>
  viewOf('f32', shape, values instanceof Float32Array ? values : Float32Array.from(values));

/** An int32 array of its own memory, from whole numbers. */
export const i32View = (shape: Shape, values: ArrayLike<number>): ArrayView<'i32'> =>
  viewOf('i32', shape, Int32Array.from(values));

/** True for row-major memory without gaps; the stride of an axis of size 1 never counts. */
export function isContiguous({ shape, strides }: ArrayView): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] === 0) return true;
    if (shape[axis] !== 1 && strides[axis] !== step) return elementCount(shape) === 0;
    step *= shape[axis]!;
  }
  return true;
}

/** Rows `[from, to)` along the first axis: the same memory. */
export function rowsOf<D extends DType>(view: ArrayView<D>, from: number, to: number): ArrayView<D> {
  if (!(from >= 0 && from <= to && to <= view.shape[0]!))
    refuse('array-view', `expected rows within 0…${view.shape[0]}, got ${from}…${to}`);
  const start = Math.min(from * view.strides[0]!, view.data.length);
  return {
    ...view,
    shape: [to - from, ...view.shape.slice(1)],
    data: view.data.subarray(start) as DataOf[D],
  };
}

/** The same contiguous memory under another shape. */
export function reshaped<D extends DType>(view: ArrayView<D>, shape: Shape): ArrayView<D> {
  if (sameShape(view.shape, shape)) return view;
  if (!isContiguous(view)) refuse('array-view', 'expected a contiguous array to reshape, got a strided one');
  if (elementCount(shape) !== elementCount(view.shape))
    refuse(
      'array-view',
      `expected ${elementCount(view.shape)} elements for the new shape, got ${shapeText(shape)}`,
    );
  return { ...view, shape, strides: contiguousStrides(shape) };
}

/** Calls `visit(offset)` with the element offset of every entry, in row-major order. */
export function forEachOffset(view: ArrayView, visit: (offset: number, index: number) => void): void {
  const { shape, strides } = view;
  const total = elementCount(shape);
  const at = new Array<number>(shape.length).fill(0);
  let offset = 0;
  for (let i = 0; i < total; i++) {
    visit(offset, i);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      offset += strides[axis]!;
      if (++at[axis]! < shape[axis]!) break;
      offset -= strides[axis]! * shape[axis]!;
      at[axis] = 0;
    }
  }
}

/** A contiguous copy in plain memory (or in `into`). */
export function compacted<D extends DType>(
  view: ArrayView<D>,
  into: DataOf[D] = typedArray(view.dtype, null, 0, elementCount(view.shape)),
): ArrayView<D> {
  if (isContiguous(view))
    (into as Float32Array).set(view.data.subarray(0, elementCount(view.shape)) as Float32Array);
  else
    forEachOffset(view, (offset, i) => {
      into[i] = view.data[offset]!;
    });
  return viewOf(view.dtype, view.shape, into);
}

/** The elements of a contiguous view: exactly as many as its shape says. */
export const elementsOf = <D extends DType>(view: ArrayView<D>): DataOf[D] => {
  const whole = isContiguous(view) ? view : compacted(view);
  return whole.data.subarray(0, elementCount(view.shape)) as DataOf[D];
};
