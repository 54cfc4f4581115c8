import { createArena } from './arena.ts';
import { hostData, byteLengthOf, type ArrayView } from '../arrays/array-view.ts';
import { typedArray, type DataOf, type DType } from '../arrays/dtype.ts';
import type { Memory } from './memory.ts';
import { PartCounter, type PartUsage } from './part-counter.ts';
import { elementCount, type Shape } from '../arrays/shape.ts';
import { HostStorage, ShapeStorage, type AddressSpace } from '../arrays/storage.ts';

/** Options of `createDryMemory`: the properties of the memory that is planned for. */
export interface DryMemoryOptions {
  /** Names the memory in errors. Default: `dry`. */
  readonly name?: string;
  /** Smallest region, in bytes: that of the memory that is planned for. Default: 1 MiB. */
  readonly regionBytes?: number;
}

/** A memory that has no bytes and counts those that host memory would need. */
export interface DryMemory extends Memory {
  /** Arrays allocated while `body` runs count as `part`. */
  within<T>(part: string, body: () => T): T;
  /** Arrays allocated outside `within` count as `part` from now on. */
  begin(part: string): void;
  /**
   * Every part that has had an allocation, in the order of the first ones. The peaks add up to
   * `usage().peakBytes`.
   */
  parts(): readonly PartUsage[];
}

/** The address space of planned arrays. They have no bytes. */
const DRY_SPACE: AddressSpace = { name: 'dry', isHost: false };

/** Only index arrays have bytes: kernels compute workspace sizes from them (segments of attention). */
const isReal = (dtype: DType): boolean => dtype === 'i32';

const dryArray = <D extends DType>(dtype: D, shape: Shape, length: number): ArrayView<D> => ({
  dtype,
  shape,
  storage: isReal(dtype)
    ? new HostStorage(typedArray(dtype, null, 0, length), DRY_SPACE)
    : new ShapeStorage(byteLengthOf({ dtype, shape }), DRY_SPACE),
  offset: 0,
});

/**
 * A memory whose arrays are shapes only. It decides like host memory where each array is placed and how long
 * it lives, so `usage()` after a step says what the step needs.
 *
 * @example
 * const memory = createDryMemory();
 * memory.within('weights', () => memory.allocate('f32', [65_000, 8192]));
 * memory.parts(); // [{ part: 'weights', liveBytes: 2129920000, peakBytes: 2129920000 }]
 */
export function createDryMemory({ name = 'dry', regionBytes = 1 << 20 }: DryMemoryOptions = {}): DryMemory {
  const parts = new PartCounter();
  const arena = createArena<null>({
    name,
    regionBytes,
    reserve: () => null,
    place: (dtype, shape, { length }) => dryArray(dtype, shape, length),
    onChange: (view, bytes) => {
      parts.count(view, bytes);
    },
  });
  return {
    ...arena,
    space: DRY_SPACE,
    within(part, body) {
      const previous = parts.begin(part);
      try {
        return body();
      } finally {
        parts.begin(previous);
      }
    },
    begin: (part) => {
      parts.begin(part);
    },
    parts: () => parts.usage(),
    resetPeak() {
      arena.resetPeak();
      parts.resetPeak();
    },
    read: <D extends DType>(view: ArrayView<D>): Promise<DataOf[D]> =>
      Promise.resolve(
        isReal(view.dtype)
          ? (hostData(view).slice() as DataOf[D])
          : typedArray(view.dtype, null, 0, elementCount(view.shape)),
      ),
    write(view, values) {
      if (isReal(view.dtype)) hostData(view).set(values as ArrayLike<number>);
    },
    fill(view, body) {
      if (isReal(view.dtype)) body(hostData(view));
    },
    constant: (values) => shapeOnly('f32', [values.length]),
    [Symbol.dispose]: arena.dispose,
  };
}

/** An array that is a shape only. */
export const shapeOnly = <D extends DType>(dtype: D, shape: Shape): ArrayView<D> => ({
  dtype,
  shape,
  storage: new ShapeStorage(byteLengthOf({ dtype, shape }), DRY_SPACE),
  offset: 0,
});
