import { DTYPE_BYTES, type DataOf, type DType, type FloatDType } from './dtype.ts';
import { QdyloraError } from '../errors/errors.ts';
import { elementCount, isSize, sameShape, shapeText, type Shape } from './shape.ts';
import { HostStorage, type Storage } from './storage.ts';

/**
 * A contiguous row-major array: its dtype, its shape, its storage and its offset in the storage. Several
 * views may share one storage (rows of a matrix, a matrix under another shape).
 */
export interface ArrayView<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: Shape;
  readonly storage: Storage;
  /** First element of the view in its storage, in elements of `dtype`. */
  readonly offset: number;
}

/** Numbers of any floating point type: f32, bf16 or f16. */
export type FloatView = ArrayView<FloatDType>;

/** Arrays by name. `undefined`: an optional array that a call leaves out. */
export type Arrays = Readonly<Record<string, ArrayView | undefined>>;

/** Element type and shape of an array that does not exist yet. */
export interface ArraySpec {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Throws `BAD_ARGUMENT` unless the array has this element type. */
export const assertDtype = (where: string, name: string, view: ArrayView, expected: DType): void => {
  if (view.dtype !== expected) refuse(where, `${name} must be ${expected}, but it is ${view.dtype}`);
};

// A message is made where it is thrown: these functions run a thousand times a step.
function refuse(where: string, problem: string): never {
  throw new QdyloraError('BAD_ARGUMENT', { where, problem });
}

/** Number of elements. @throws QdyloraError BAD_SHAPE for a size that is no whole number ≥ 0 */
function checkedCount(shape: Shape): number {
  if (!shape.every(isSize))
    throw new QdyloraError('BAD_SHAPE', {
      where: 'array-view',
      problem: `the sizes of an array must be whole numbers ≥ 0 (got ${shapeText(shape)})`,
    });
  return elementCount(shape);
}

/** A view of host memory as a contiguous array. `data` may be longer than the shape needs. */
export function viewOf<D extends DType>(dtype: D, shape: Shape, data: DataOf[D]): ArrayView<D> {
  const count = checkedCount(shape);
  if (data.length < count)
    refuse(
      'array-view',
      `${dtype} ${shapeText(shape)} needs ${count} elements, but there are ${data.length}`,
    );
  return { dtype, shape, storage: new HostStorage(data), offset: 0 };
}

/**
 * A float32 array from numbers; zeros by default. A `Float32Array` is used without a copy, other lists are
 * copied.
 */
export const f32View = (
  shape: Shape,
  values: ArrayLike<number> = new Float32Array(checkedCount(shape)),
): ArrayView<'f32'> =>
  viewOf('f32', shape, values instanceof Float32Array ? values : Float32Array.from(values));

/** An int32 array with a copy of `values`, whole numbers. */
export const i32View = (shape: Shape, values: ArrayLike<number>): ArrayView<'i32'> =>
  viewOf('i32', shape, Int32Array.from(values));

/**
 * The elements of a view in host memory, without a copy: as many as its shape has.
 * Host kernels, references and explicit host edges (files, reports) call it; everything else awaits
 * `memory.read(view)`.
 *
 * @param name the array's name in messages
 * @throws QdyloraError BAD_ARGUMENT for an array in any other memory, and for one whose memory was freed
 */
export function hostData<D extends DType>(view: ArrayView<D>, name?: string): DataOf[D] {
  const { shape, storage, offset } = view;
  if (!(storage instanceof HostStorage)) refuseDevice(view, name);
  const elements = storage.elements as DataOf[D];
  const length = elementCount(shape);
  if (elements.length === length && offset === 0) return elements;
  if (elements.length < offset + length) refuseFreed(view, name);
  return elements.subarray(offset, offset + length) as DataOf[D];
}

function refuseDevice({ dtype, shape, storage }: ArrayView, name = 'an array'): never {
  if (storage?.space.isHost)
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'array-view',
      problem:
        `${name} (${dtype} ${shapeText(shape)}) is a copy that is no array any more, as postMessage, ` +
        `structuredClone and JSON make them`,
      nextStep:
        'Send `hostData(view)` and its shape, and make an array there: viewOf(dtype, shape, data). ' +
        'Two installed versions of @qdylora/contract have the same effect.',
    });
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'array-view',
    problem:
      `${name} (${dtype} ${shapeText(shape)}) lies in ${storage?.space.name ?? 'unknown'} memory, ` +
      `which JavaScript cannot read`,
    nextStep: '`await memory.read(view)` copies it to host memory.',
  });
}

/** A disposed backend detaches its buffers: the typed arrays over them then have length 0. */
function refuseFreed({ dtype, shape }: ArrayView, name = 'an array'): never {
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'array-view',
    problem: `the memory of ${name} (${dtype} ${shapeText(shape)}) was freed`,
    nextStep: 'Read arrays before their backend is disposed.',
  });
}

/** A view of the rows `[from, to)` along the first axis. */
export function rowsOf<D extends DType>(view: ArrayView<D>, from: number, to: number): ArrayView<D> {
  const { dtype, shape, storage, offset } = view;
  if (!(isSize(from) && isSize(to) && from <= to && to <= shape[0]))
    refuse('array-view', `rows ${from}…${to} are not within 0…${shape[0]}`);
  const rowShape = shape.slice(1);
  return { dtype, shape: [to - from, ...rowShape], storage, offset: offset + from * elementCount(rowShape) };
}

/** A view of `shape` that begins at element `from` of another view. */
export function partOf<D extends DType>(view: ArrayView<D>, from: number, shape: Shape): ArrayView<D> {
  if (!(isSize(from) && from + checkedCount(shape) <= elementCount(view.shape)))
    refuse('array-view', `${shapeText(shape)} from element ${from} is not within ${shapeText(view.shape)}`);
  return { dtype: view.dtype, shape, storage: view.storage, offset: view.offset + from };
}

/** A view of the same memory with another shape. */
export function reshaped<D extends DType>(view: ArrayView<D>, shape: Shape): ArrayView<D> {
  if (sameShape(view.shape, shape)) return view;
  if (checkedCount(shape) !== elementCount(view.shape))
    refuse(
      'array-view',
      `${shapeText(view.shape)} has ${elementCount(view.shape)} elements, but ${shapeText(shape)} needs ` +
        `${elementCount(shape)}`,
    );
  return { ...view, shape };
}

/** Bytes that the elements of a view take. */
export const byteLengthOf = ({ dtype, shape }: ArraySpec): number => elementCount(shape) * DTYPE_BYTES[dtype];
