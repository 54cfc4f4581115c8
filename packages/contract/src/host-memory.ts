import { elementsOf, viewOf, type ArrayView } from './array-view.ts';
import { DTYPE_BYTES, typedArray, type DataOf, type DType } from './dtype.ts';
import { DisposedError, QdyloraError } from './errors.ts';
import { FreeList } from './free-list.ts';
import type { Memory, MemoryUsage } from './memory.ts';
import { elementCount, type Shape } from './shape.ts';

export interface HostMemoryOptions {
  readonly name?: string;
  /** Makes one region of memory; the default is a JavaScript ArrayBuffer. Throws InsufficientMemoryError when there is none. */
  readonly reserve?: (bytes: number) => ArrayBufferLike;
  /** Gives a region back to the system. */
  readonly unreserve?: (buffer: ArrayBufferLike) => void;
  /** Smallest region, in bytes. */
  readonly regionBytes?: number;
  /** Fills fresh float arrays with NaN, so that a test sees a read of memory that was never written. */
  readonly poison?: boolean;
}

interface Block { readonly region: FreeList; readonly offset: number; readonly bytes: number; scope: Set<ArrayView> | null }

/** Every allocation starts on such a boundary: one cache line, and the widest vector register. */
const ALIGNMENT = 64;

/** Memory in typed arrays: best-fit blocks inside large regions, so that a warmed-up step asks the system for nothing. */
export function createHostMemory(options: HostMemoryOptions = {}): Memory {
  const { name = 'host', reserve = (bytes: number) => new ArrayBuffer(bytes), unreserve, regionBytes = 1 << 20, poison = false } = options;
  const regions: FreeList[] = [];
  const blocks = new Map<ArrayView, Block>();
  const scopes: Set<ArrayView>[] = [];
  const releasedData = new WeakSet<object>(); // by typed array: reshaped views share it
  let liveBytes = 0, peakBytes = 0, disposed = false;

  const find = (bytes: number): { region: FreeList; offset: number } => {
    let best: FreeList | null = null, smallest = Infinity;
    for (const region of regions) {
      const size = region.smallestFor(bytes);
      if (size < smallest) [best, smallest] = [region, size];
    }
    if (best) return { region: best, offset: best.take(bytes) };
    const region = new FreeList(reserve(Math.max(bytes, regionBytes)));
    regions.push(region);
    return { region, offset: region.take(bytes) };
  };

  const allocate = <D extends DType>(dtype: D, shape: Shape): ArrayView<D> => {
    if (disposed) throw new DisposedError('memory');
    const length = elementCount(shape);
    if (!Number.isSafeInteger(length) || length < 0) throw new QdyloraError('BAD_SHAPE', { where: name, problem: `expected sizes ≥ 0 for an array, got [${shape.join(', ')}]` });
    const bytes = Math.max(ALIGNMENT, Math.ceil((length * DTYPE_BYTES[dtype]) / ALIGNMENT) * ALIGNMENT);
    const { region, offset } = find(bytes);
    const view = viewOf(dtype, shape, typedArray(dtype, region.buffer, offset, length));
    const scope = scopes.at(-1) ?? null;
    scope?.add(view);
    blocks.set(view, { region, offset, bytes, scope });
    liveBytes += bytes;
    peakBytes = Math.max(peakBytes, liveBytes);
    if (poison && dtype === 'f32') (view.data as Float32Array).fill(NaN);
    if (poison && dtype === 'bf16') (view.data as Uint16Array).fill(0x7fc0);
    return view;
  };

  const release = (view: ArrayView): void => {
    const block = blocks.get(view);
    if (!block) return;
    block.region.give(block.offset, block.bytes);
    block.scope?.delete(view);
    blocks.delete(view);
    releasedData.add(view.data);
    liveBytes -= block.bytes;
  };

  const scoped = <T>(body: () => T, keep: (result: T) => Iterable<ArrayView | undefined> = () => []): T => {
    const scope = new Set<ArrayView>();
    scopes.push(scope);
    try {
      const result = body();
      const outer = scopes.at(-2) ?? null;
      for (const view of keep(result)) {
        const block = view && blocks.get(view);
        if (!block || block.scope !== scope) continue;
        scope.delete(view);
        outer?.add(view);
        block.scope = outer;
      }
      return result;
    } finally {
      scopes.pop();
      for (const view of [...scope]) release(view);
    }
  };

  const dispose = (): void => {
    if (disposed) return;
    disposed = true;
    blocks.clear();
    for (const region of regions) unreserve?.(region.buffer);
    regions.length = 0;
    liveBytes = 0;
  };

  return {
    name, isHost: true, allocate, release, scoped, dispose,
    isReleased: ({ data }) => releasedData.has(data),
    persist(...views) {
      for (const view of views) {
        const block = view && blocks.get(view);
        if (!block) continue;
        block.scope?.delete(view);
        block.scope = null;
      }
    },
    read: <D extends DType>(view: ArrayView<D>): Promise<DataOf[D]> => Promise.resolve(elementsOf(view).slice() as DataOf[D]),
    write: (view, values) => { view.data.set(values as ArrayLike<number>); },
    usage: (): MemoryUsage => ({ liveBytes, peakBytes, reservedBytes: regions.reduce((sum, r) => sum + r.buffer.byteLength, 0) }),
    resetPeak: () => { peakBytes = liveBytes; },
    trim() {
      for (const region of regions.filter(({ isEmpty }) => isEmpty)) {
        regions.splice(regions.indexOf(region), 1);
        unreserve?.(region.buffer);
      }
    },
    [Symbol.dispose]: dispose,
  };
}
