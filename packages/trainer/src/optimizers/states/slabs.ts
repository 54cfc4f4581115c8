import {
  DTYPE_BYTES,
  elementCount,
  partOf,
  type ArrayView,
  type DType,
  type Memory,
  type Shape,
} from '@qdylora/contract';

/** Arrays that are contiguous parts of a few large ones. */
export interface Slabs<D extends DType> {
  /** In the order of the requested shapes. Each begins on a cache line. */
  readonly arrays: readonly ArrayView<D>[];
  /** The arrays that contain them, with padding: [elements]. An op on these is an op on all arrays. */
  readonly slabs: readonly ArrayView<D>[];
}

/**
 * Maximum size of a slab of several arrays: large enough that the cost of calls is negligible (420 small sums
 * take ten times as long as three large ones), small enough to leave no gaps in memory.
 */
const SLAB_BYTES = 16 * 2 ** 20;
const CACHE_LINE = 64;

/**
 * Allocates arrays of these shapes, outside of any scope. Their contents are undefined.
 *
 * @throws InsufficientMemoryError; nothing stays allocated then.
 */
export function allocateSlabs<D extends DType>(memory: Memory, dtype: D, shapes: readonly Shape[]): Slabs<D> {
  const unit = CACHE_LINE / DTYPE_BYTES[dtype];
  const most = SLAB_BYTES / DTYPE_BYTES[dtype];
  const sizes: number[] = [];
  const places = shapes.map((shape) => {
    const length = Math.ceil(elementCount(shape) / unit) * unit;
    // start the next slab; an array that is larger than a slab gets its own
    if (sizes.length === 0 || sizes.at(-1)! + length > most) sizes.push(0);
    const place = { shape, slab: sizes.length - 1, from: sizes.at(-1)! };
    sizes[place.slab] += length;
    return place;
  });
  const slabs: ArrayView<D>[] = [];
  try {
    for (const size of sizes) {
      slabs.push(memory.allocate(dtype, [size]));
      memory.persist(slabs.at(-1));
    }
  } catch (error) {
    releaseSlabs(memory, { slabs });
    throw error;
  }
  return { slabs, arrays: places.map(({ shape, slab, from }) => partOf(slabs[slab], from, shape)) };
}

export function releaseSlabs(memory: Memory, { slabs }: Pick<Slabs<DType>, 'slabs'>): void {
  for (const slab of slabs) memory.release(slab);
}
