import { createArena } from './arena.ts';
import { hostData, byteLengthOf, type ArrayView } from '../arrays/array-view.ts';
import { typedArray, type DataOf, type DType } from '../arrays/dtype.ts';
import type { Memory } from './memory.ts';
import { elementCount, type Shape } from '../arrays/shape.ts';
import { HostStorage, ShapeStorage, type AddressSpace } from '../arrays/storage.ts';

export interface DryMemoryOptions {
  readonly name?: string;
  /** Smallest region, in bytes: that of the memory that is planned for. */
  readonly regionBytes?: number;
}

/** Bytes of one part of a plan: now, and at the moment at which all parts together were largest. */
export interface PartUsage {
  readonly part: string;
  readonly liveBytes: number;
  readonly peakBytes: number;
}

/** A memory that keeps books and has no bytes. */
export interface DryMemory extends Memory {
  /** What is allocated while `body` runs counts as `part`. */
  within<T>(part: string, body: () => T): T;
  /** From now on allocations outside `within` count as `part`. */
  begin(part: string): void;
  /** Every part, in the order in which they began. The peaks add up to `usage().peakBytes`. */
  parts(): readonly PartUsage[];
}

/** Where arrays of plans lie: nowhere. */
export const DRY_SPACE: AddressSpace = { name: 'dry', isHost: false };

/** Indices decide how much a kernel needs (segments of attention), and are few: they alone are real. */
const isReal = (dtype: DType): boolean => dtype === 'i32';

/**
 * Decides like host memory where each array would lie and how long it lives, and hands out arrays that are
 * shapes only. A step that runs in it leaves behind what it would need.
 *
 * @example
 * const memory = createDryMemory();
 * memory.within('weights', () => memory.allocate('f32', [65_000, 8192]));
 * memory.parts(); // [{ part: 'weights', liveBytes: 2129920000, peakBytes: 2129920000 }]
 */
export function createDryMemory({ name = 'dry', regionBytes = 1 << 20 }: DryMemoryOptions = {}): DryMemory {
  const live = new Map<string, number>();
  const partOf = new Map<ArrayView, string>();
  let part = 'other';
  let total = 0;
  let peak = 0;
  let atPeak: ReadonlyMap<string, number> = new Map();
  /** The moment before an array goes is where a peak can be. */
  const notePeak = (): void => {
    if (total > peak) [peak, atPeak] = [total, new Map(live)];
  };
  const arena = createArena<null>({
    name,
    regionBytes,
    reserve: () => null,
    place: (dtype, shape, { length }) => ({
      dtype,
      shape,
      storage: isReal(dtype)
        ? new HostStorage(typedArray(dtype, null, 0, length), DRY_SPACE)
        : new ShapeStorage(byteLengthOf({ dtype, shape }), DRY_SPACE),
      offset: 0,
    }),
    onChange(view, bytes) {
      if (bytes < 0) notePeak();
      const owner = partOf.get(view) ?? part;
      if (bytes > 0) partOf.set(view, owner);
      else partOf.delete(view);
      live.set(owner, (live.get(owner) ?? 0) + bytes);
      total += bytes;
    },
  });
  return {
    ...arena,
    space: DRY_SPACE,
    within(next, body) {
      const before = part;
      part = next;
      try {
        return body();
      } finally {
        part = before;
      }
    },
    begin: (next) => {
      part = next;
    },
    parts() {
      notePeak();
      return [...live].map(([name, liveBytes]) => ({
        part: name,
        liveBytes,
        peakBytes: atPeak.get(name) ?? 0,
      }));
    },
    resetPeak() {
      arena.resetPeak();
      peak = 0;
      notePeak();
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
