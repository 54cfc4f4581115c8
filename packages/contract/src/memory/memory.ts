import type { ArrayView } from '../arrays/array-view.ts';
import type { DataOf, DType } from '../arrays/dtype.ts';
import type { Shape } from '../arrays/shape.ts';
import type { AddressSpace } from '../arrays/storage.ts';

/** How many bytes a memory uses, reserves and has touched, now and at most. */
export interface MemoryUsage {
  /** Bytes of live arrays. */
  readonly liveBytes: number;
  /** The largest `liveBytes` since the last `resetPeak`. */
  readonly peakBytes: number;
  /** Bytes reserved from the system. */
  readonly reservedBytes: number;
  /** Reserved bytes that arrays have covered since the last `trim`. Only these can be in the resident set. */
  readonly touchedBytes: number;
  /** The largest `touchedBytes` ever; `trim` does not lower it. */
  readonly peakTouchedBytes: number;
}

/** Numbers in host memory. */
export type NumberList = Float32Array | Float64Array;

/**
 * The memory of a backend. An allocation belongs to the innermost open scope and is released with it, so a
 * step's temporaries end with the step. An allocation outside all scopes lives until `release` or `dispose`.
 * The contents of a fresh array are undefined.
 */
export interface Memory extends Disposable {
  readonly name: string;
  /** The address space of its arrays. In a host space, `hostData` reads and writes them. */
  readonly space: AddressSpace;
  allocate<D extends DType>(dtype: D, shape: Shape): ArrayView<D>;
  /**
   * Releases one allocation early. Only the object that `allocate` returned counts; other views are
   * ignored.
   */
  release(view: ArrayView): void;
  /**
   * True if this memory has released the array, or the one that it is a part of (`rowsOf`): by `release`, at
   * the end of its scope, or by `dispose`.
   */
  isReleased?(view: ArrayView): boolean;
  /** True for the object that `allocate` returned, while it is alive. */
  isOwn?(view: ArrayView): boolean;
  /**
   * Runs `body`, which must be synchronous, in a new scope. Its allocations are released at the end, except
   * the views that `keep` selects from the result: these pass to the outer scope.
   */
  scoped<T>(body: () => T, keep?: (result: T) => Iterable<ArrayView | undefined>): T;
  /** Moves allocations out of all scopes: they live until `release`. */
  persist(...views: (ArrayView | undefined)[]): void;
  /** Copies values to the host after all enqueued work. The only place where a caller waits. */
  read<D extends DType>(view: ArrayView<D>): Promise<DataOf[D]>;
  write<D extends DType>(view: ArrayView<D>, values: ArrayLike<number>): void;
  /**
   * Calls `body` with an array to fill: the view's own elements in host memory, else a staging array that is
   * copied afterwards. A memory without bytes does not call it.
   */
  fill<D extends DType>(view: ArrayView<D>, body: (values: DataOf[D]) => void): void;
  /**
   * A persistent array of constants (frequencies, slopes): [values.length]. Device memory makes it once for
   * each `values` object. Host memory makes a view of a `Float32Array`, and copies other lists at each call.
   */
  constant(values: NumberList): ArrayView<'f32'>;
  usage(): MemoryUsage;
  /** Bytes that a device has left, as far as its driver knows. Absent for host memory. */
  freeBytes?(): number;
  resetPeak(): void;
  /**
   * Returns unused reserved memory to the system, as far as possible. Live views are unchanged.
   */
  trim(): void;
  dispose(): void;
}
