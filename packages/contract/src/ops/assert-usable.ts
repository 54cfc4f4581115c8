import { byteLengthOf, type Arrays, type ArrayView } from '../arrays/array-view.ts';
import { DTYPE_BYTES, isDType, isElementArray } from '../arrays/dtype.ts';
import { DisposedError, QdyloraError } from '../errors/errors.ts';
import type { Memory } from '../memory/memory.ts';
import type { Op } from './op.ts';
import { elementCount, isSize, shapeText } from '../arrays/shape.ts';
import { HostStorage, type Storage } from '../arrays/storage.ts';

/** Largest axis of an array without elements: a kernel may loop over its empty rows. */
const MOST_EMPTY = 2 ** 31;

/** Refuses a value that is no array view, and a view with invalid sizes. */
function assertView(where: string, name: string, view: ArrayView): void {
  const { dtype, shape, storage, offset } = view;
  if (!isDType(dtype) || !Array.isArray(shape) || typeof storage?.space !== 'object')
    throw new QdyloraError('BAD_ARGUMENT', {
      where,
      problem:
        `${name} must be an array view of ${Object.keys(DTYPE_BYTES).join(', ')}, but it is ` +
        `${describe(view)}`,
      nextStep: 'viewOf, f32View and i32View make one.',
    });
  if (!shape.every(isSize) || !isSize(offset))
    throw new QdyloraError('BAD_SHAPE', {
      where,
      problem:
        `the sizes and the offset of ${name} must be whole numbers ≥ 0, but they are ` +
        `${shapeText(shape)} and ${offset}`,
    });
  if (shape.includes(0) && shape.some((size) => size > MOST_EMPTY))
    throw new QdyloraError('BAD_SHAPE', {
      where,
      problem: `${name} is empty, but one of its sizes is above ${MOST_EMPTY}: ${shapeText(shape)}`,
    });
}

function describe(view: ArrayView): string {
  if (isDType(view.dtype)) return 'one without shape and storage';
  if (view.dtype === undefined) return (view as object).constructor?.name ?? typeof view;
  return `of element type ${String(view.dtype)}`;
}

/**
 * Checks an array before a kernel reads it: valid sizes, storage in the backend's address space, long enough,
 * not released. An array that the memory allocated itself and that is alive needs no further check.
 *
 * @param memory the backend's memory; without it any address space is allowed
 * @throws QdyloraError DISPOSED, BAD_ARGUMENT (no array view, element type, other memory) or BAD_SHAPE
 */
export function assertUsable(where: string, name: string, view: ArrayView, memory?: Memory): void {
  if (memory?.isOwn?.(view)) return;
  assertView(where, name, view);
  const { storage } = view;
  if (memory && storage.space !== memory.space)
    throw new QdyloraError('BAD_ARGUMENT', {
      where,
      problem:
        `${name} lies in ${storage.space.name} memory, but the backend computes in ` +
        `${memory.space.name} memory`,
      nextStep: "Allocate it in the backend's memory and fill it with memory.write.",
    });
  if (storage instanceof HostStorage && !isElementArray(view.dtype, storage.elements))
    throw new QdyloraError('BAD_ARGUMENT', {
      where,
      problem:
        `${name} is ${view.dtype}, but its storage holds ` +
        `${(storage.elements as object | undefined)?.constructor?.name ?? typeof storage.elements}`,
    });
  const neededBytes = view.offset * DTYPE_BYTES[view.dtype] + byteLengthOf(view);
  const isShort = storage.byteLength < neededBytes;
  if ((isShort && isDetached(storage)) || memory?.isReleased?.(view))
    throw new DisposedError(`array ${name} of ${where}`);
  if (isShort)
    throw new QdyloraError('BAD_SHAPE', {
      where,
      problem:
        `${name} ${shapeText(view.shape)} needs ${elementCount(view.shape)} elements from ${view.offset} ` +
        `on, but its ` +
        `storage has ${storage.byteLength / DTYPE_BYTES[view.dtype]}`,
    });
}

/** True if the buffer was transferred or freed. */
const isDetached = (storage: Storage): boolean =>
  storage instanceof HostStorage && storage.elements.buffer.byteLength === 0;

/**
 * Refuses supplied outputs that alias an input or each other. The exception is an output at the address of an
 * input that the op lets it overwrite (`overwrites`). Outputs that the backend allocates are fresh.
 * Aliasing through two buffer objects over one SharedArrayBuffer is not detected.
 *
 * @throws QdyloraError BAD_ARGUMENT naming both arrays.
 */
export function assertApart(op: Pick<Op, 'name' | 'overwrites'>, inputs: Arrays, outputs: Arrays): void {
  const places: Place[] = [];
  for (const name in outputs) {
    const view = outputs[name];
    if (!view) continue;
    const place = placeOf(name, view);
    for (const other of places) if (overlaps(place, other)) refuseOverlap(op, name, other.name);
    places.push(place);
  }
  if (places.length === 0) return;
  for (const name in inputs) {
    const view = inputs[name];
    if (!view) continue;
    const input = placeOf(name, view);
    for (const output of places) {
      if (!overlaps(output, input)) continue;
      const liesOver =
        input.begin === output.begin && input.end === output.end && view.dtype === output.view.dtype;
      if (!liesOver || !op.overwrites?.[output.name]?.includes(name)) refuseOverlap(op, output.name, name);
    }
  }
}

/** A view with the bytes that it covers. */
interface Place {
  readonly name: string;
  readonly view: ArrayView;
  readonly begin: number;
  readonly end: number;
}

function placeOf(name: string, view: ArrayView): Place {
  const { storage } = view;
  const start = storage instanceof HostStorage ? storage.elements.byteOffset : 0;
  const begin = start + view.offset * DTYPE_BYTES[view.dtype];
  return { name, view, begin, end: begin + byteLengthOf(view) };
}

/**
 * Compares ranges first, because reading `buffer` of a typed array takes V8 longer than everything else
 * here.
 */
const overlaps = (a: Place, b: Place): boolean =>
  a.begin < b.end &&
  b.begin < a.end &&
  a.begin < a.end &&
  b.begin < b.end &&
  sharesBytes(a.view.storage, b.view.storage);

const sharesBytes = (a: Storage, b: Storage): boolean =>
  a === b ||
  (a instanceof HostStorage && b instanceof HostStorage && a.elements.buffer === b.elements.buffer);

function refuseOverlap(
  { name: where, overwrites }: Pick<Op, 'name' | 'overwrites'>,
  output: string,
  other: string,
): never {
  throw new QdyloraError('BAD_ARGUMENT', {
    where,
    problem: `the output ${output} shares memory with ${other}`,
    nextStep: overwrites?.[output]
      ? `It may lie exactly over ${overwrites[output].join(' or ')}.`
      : 'An op says in `overwrites` which outputs may lie exactly over which inputs.',
  });
}
