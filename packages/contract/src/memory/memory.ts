import type { ArrayView } from '../arrays/array-view.ts';
import type { DataOf, DType } from '../arrays/dtype.ts';
import type { Shape } from '../arrays/shape.ts';
import type { AddressSpace } from '../arrays/storage.ts';

/**
 * Bytes now in use, the most that were in use since the last reset, what is held from the system, and how
 * much of that any array has ever lain in: the system counts only those.
 */
export interface MemoryUsage {
  readonly liveBytes: number;
  readonly peakBytes: number;
  readonly reservedBytes: number;
  readonly touchedBytes: number;
}

/** Numbers in host memory, known by their object. */
export type NumberList = Float32Array | Float64Array;

/**
 * Where a backend keeps arrays. Allocations belong to the innermost open scope and end with it, so a step's
 * temporaries die with the step; what is allocated outside any scope lives until `release` or `dispose`.
 * Contents of a fresh array are undefined.
 */
export interface Memory extends Disposable {
  readonly name: string;
  /** Where its arrays lie. In a host space, `hostData` reads and writes them. */
  readonly space: AddressSpace;
  allocate<D extends DType>(dtype: D, shape: Shape): ArrayView<D>;
  /** Gives one allocation back early; a view that is not the object `allocate` returned is ignored. */
  release(view: ArrayView): void;
  /**
   * True where this memory has given the array back: by `release`, at the end of its scope, or by `dispose`.
   * Parts of an array (`rowsOf`) are not known by it.
   */
  isReleased?(view: ArrayView): boolean;
  /** True of the very object that `allocate` returned, as long as it lives. */
  isOwn?(view: ArrayView): boolean;
  /**
   * Runs `body` in a new scope; what it allocated is released at the end, except the views that `keep` picks
   * out of the result, which pass to the outer scope.
   */
  scoped<T>(body: () => T, keep?: (result: T) => Iterable<ArrayView | undefined>): T;
  /** Moves allocations out of all scopes: they live until `release`. */
  persist(...views: (ArrayView | undefined)[]): void;
  /** Copies values out; the one place where a caller waits for enqueued work. */
  read<D extends DType>(view: ArrayView<D>): Promise<DataOf[D]>;
  write<D extends DType>(view: ArrayView<D>, values: ArrayLike<number>): void;
  /**
   * Lets `body` make a fresh array's values: where they lie, if that is host memory, else on the way there. A
   * memory without bytes never asks for them.
   */
  fill<D extends DType>(view: ArrayView<D>, body: (values: DataOf[D]) => void): void;
  /**
   * An array of numbers that never change (frequencies, slopes): [values.length]. Made once for each `values`
   * object and kept as long as the memory; host memory copies nothing.
   */
  constant(values: NumberList): ArrayView<'f32'>;
  usage(): MemoryUsage;
  resetPeak(): void;
  /**
   * Gives what is held and not in use back to the system, as far as it can be given back; views in use stay
   * as they are.
   */
  trim(): void;
  dispose(): void;
}
