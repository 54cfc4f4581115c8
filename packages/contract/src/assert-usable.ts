import type { ArrayView } from './array-view.ts';
import { DTYPE_BYTES, isDType, isElementArray } from './dtype.ts';
import { DisposedError, QdyloraError } from './errors.ts';
import type { Memory } from './memory.ts';
import type { Arrays, Op } from './op.ts';
import { isSize, shapeText } from './shape.ts';

/** Elements from the first of a view to the one past its last: what its memory must hold. */
function extentOf({ shape, strides }: ArrayView): number {
  let last = 0;
  for (let axis = 0; axis < shape.length; axis++) {
    if (shape[axis] === 0) return 0;
    last += (shape[axis]! - 1) * strides[axis]!;
  }
  return last + 1;
}

/** Most of an axis of an array without elements: a kernel may walk over its empty rows. */
const MOST_EMPTY = 2 ** 31;

/** Refuses what is no array view, or one whose sizes and strides are none. */
function assertView(where: string, name: string, view: ArrayView): void {
  if (!isDType(view.dtype) || !Array.isArray(view.shape) || !Array.isArray(view.strides)) {
    const got = isDType(view.dtype)
      ? 'one without shape and strides'
      : view.dtype === undefined
        ? `${(view as object).constructor?.name ?? typeof view}`
        : `element type ${String(view.dtype)}`;
    throw new QdyloraError('BAD_ARGUMENT', {
      where,
      problem: `expected an array view of ${Object.keys(DTYPE_BYTES).join(', ')} for ${name}, got ${got}`,
      nextStep: 'viewOf, f32View and i32View make one.',
    });
  }
  const { shape, strides } = view;
  const fit = shape.length === strides.length && shape.every(isSize) && strides.every(isSize);
  if (!fit)
    throw new QdyloraError('BAD_SHAPE', {
      where,
      problem:
        `expected whole sizes ≥ 0 and as many strides for ${name}, got the shape ` +
        `${shapeText(shape)} and the strides ${shapeText(strides)}`,
    });
  if (shape.includes(0) && shape.some((size) => size > MOST_EMPTY))
    throw new QdyloraError('BAD_SHAPE', {
      where,
      problem: `expected sizes up to ${MOST_EMPTY} for ${name}, which is empty, got ${shapeText(shape)}`,
    });
}

/**
 * Checks that an array is one, and its memory there, before a kernel reads it: of whole sizes, of its element
 * type, long enough for its shape, not disposed, not given back.
 * Without a memory, outside of an op, what was given back is seen only where its bytes are gone.
 * Typed arrays are aligned to their elements by JavaScript itself. Of what the memory itself has made and
 * still holds all that is known, and nothing is looked at.
 *
 * @throws QdyloraError DISPOSED, BAD_ARGUMENT (no array view, element type) or BAD_SHAPE (sizes, too short).
 */
export function assertUsable(where: string, name: string, view: ArrayView, memory?: Memory): void {
  if (memory?.isOwn?.(view)) return;
  assertView(where, name, view);
  if (!isElementArray(view.dtype, view.data))
    throw new QdyloraError('BAD_ARGUMENT', {
      where,
      problem:
        `expected the elements of ${view.dtype} for ${name}, got ` +
        `${(view.data as object | undefined)?.constructor?.name ?? typeof view.data}`,
    });
  const extent = extentOf(view);
  const isShort = view.data.length < extent;
  if ((isShort && view.data.buffer.byteLength === 0) || memory?.isReleased?.(view))
    throw new DisposedError(`array ${name} of ${where}`);
  if (isShort)
    throw new QdyloraError('BAD_SHAPE', {
      where,
      problem:
        `expected at least ${extent} elements for ${name} ${shapeText(view.shape)}, got ` +
        `${view.data.length}`,
    });
}

/**
 * Refuses outputs handed in that share memory with an input or with each other, except an output that lies
 * exactly over an input which the op lets it overwrite.
 * Outputs that the backend makes are fresh, so only those in `given` are looked at. Memory is told by its
 * buffer object: that two objects share one (a SharedArrayBuffer that was sent to and fro) nobody can see.
 *
 * @throws QdyloraError BAD_ARGUMENT naming both arrays.
 */
export function assertApart(op: Pick<Op, 'name' | 'overwrites'>, inputs: Arrays, given: Arrays): void {
  const places: Place[] = [];
  for (const name in given) {
    const view = given[name];
    if (!view) continue;
    const place = placeOf(name, view);
    for (const other of places)
      if (overlaps(place, other.begin, other.end, other.view)) refuseOverlap(op, name, other.name);
    places.push(place);
  }
  if (places.length === 0) return;
  for (const other in inputs) {
    const input = inputs[other];
    if (!input) continue;
    const begin = input.data.byteOffset;
    const most = begin + input.data.byteLength;
    for (const place of places) {
      if (!overlaps(place, begin, most, input)) continue;
      const end = begin + extentOf(input) * input.data.BYTES_PER_ELEMENT;
      if (!overlaps(place, begin, end, input)) continue;
      const liesOver = begin === place.begin && end === place.end && input.dtype === place.view.dtype;
      if (!liesOver || !op.overwrites?.[place.name]?.includes(other)) refuseOverlap(op, place.name, other);
    }
  }
}

/** An output with its bytes in its buffer. */
interface Place {
  readonly name: string;
  readonly view: ArrayView;
  readonly begin: number;
  readonly end: number;
}

function placeOf(name: string, view: ArrayView): Place {
  const begin = view.data.byteOffset;
  return { name, view, begin, end: begin + extentOf(view) * view.data.BYTES_PER_ELEMENT };
}

/**
 * Most arrays lie apart by their offsets alone, and V8 takes longer for a typed array's `buffer` than for all
 * the rest.
 */
const overlaps = (place: Place, begin: number, end: number, { data }: ArrayView): boolean =>
  begin < place.end && place.begin < end && data.buffer === place.view.data.buffer;

function refuseOverlap(
  { name: where, overwrites }: Pick<Op, 'name' | 'overwrites'>,
  output: string,
  other: string,
): never {
  throw new QdyloraError('BAD_ARGUMENT', {
    where,
    problem: `expected memory of its own for the output ${output}, got some of ${other}'s`,
    nextStep: overwrites?.[output]
      ? `It may lie exactly over ${overwrites[output].join(' or ')}.`
      : 'An op says in `overwrites` which outputs may lie exactly over which inputs.',
  });
}
