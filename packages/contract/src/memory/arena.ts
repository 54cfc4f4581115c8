import type { ArrayView } from '../arrays/array-view.ts';
import { DTYPE_BYTES, isDType, type DType } from '../arrays/dtype.ts';
import { DisposedError, QdyloraError } from '../errors/errors.ts';
import type { FreeList } from './free-list.ts';
import type { Memory, MemoryUsage } from './memory.ts';
import { Regions, type RegionOptions } from './regions.ts';
import { elementCount, isSize, shapeText, type Shape } from '../arrays/shape.ts';
import type { Allocation } from '../arrays/storage.ts';

/** How an arena gets memory. `R`: one region, as the system returns it. */
export interface ArenaOptions<R> extends RegionOptions<R> {
  readonly name: string;
  /** The array of `length` elements that begins `offset` bytes into the region. */
  place<D extends DType>(
    dtype: D,
    shape: Shape,
    at: { readonly region: R; readonly offset: number; readonly length: number },
  ): ArrayView<D>;
  /** Called for every block that is allocated (bytes > 0) or released (bytes < 0). */
  onChange?(view: ArrayView, bytes: number): void;
}

/** The part of a memory that places arrays and ends their lives. It never accesses their contents. */
export type Arena = Required<
  Pick<
    Memory,
    | 'name'
    | 'allocate'
    | 'release'
    | 'scoped'
    | 'persist'
    | 'isReleased'
    | 'isOwn'
    | 'usage'
    | 'resetPeak'
    | 'trim'
    | 'dispose'
  >
>;

/** One allocation. `place` is its index among the blocks of its scope. */
interface Block<R> extends Allocation {
  readonly owner: Regions<R>;
  readonly view: ArrayView;
  readonly region: FreeList<R>;
  readonly offset: number;
  readonly bytes: number;
  scope: Block<R>[] | null;
  place: number;
  isReleased: boolean;
}

/** Alignment of allocations in bytes: one cache line, and the widest vector register. */
const ALIGNMENT = 64;

/**
 * Places arrays as blocks inside large regions, so that a warm step allocates nothing from the system. A
 * block takes the first gap where it fits: long-lived blocks gather at the front, and few gaps remain. In a
 * training step of SmolLM2-135M with regions of 64 MiB, gaps are 1 % of the memory; best fit left 6 %.
 */
export function createArena<R>({
  name,
  regionBytes,
  reserve,
  unreserve,
  discard,
  place,
  onChange,
}: ArenaOptions<R>): Arena {
  const regions = new Regions({ regionBytes, reserve, unreserve, discard });
  const scopes: Block<R>[][] = [];
  let liveBytes = 0;
  let peakBytes = 0;
  let disposed = false;

  const allocate = <D extends DType>(dtype: D, shape: Shape): ArrayView<D> => {
    if (disposed) throw new DisposedError('memory');
    if (!isDType(dtype))
      throw new QdyloraError('BAD_ARGUMENT', {
        where: name,
        problem:
          `the dtype of an array must be one of ${Object.keys(DTYPE_BYTES).join(', ')} ` +
          `(got ${String(dtype)})`,
      });
    const length = elementCount(shape);
    if (!Number.isSafeInteger(length) || !shape.every(isSize))
      throw new QdyloraError('BAD_SHAPE', {
        where: name,
        problem: `the sizes of an array must be whole numbers ≥ 0 (got ${shapeText(shape)})`,
      });
    const bytes = Math.max(ALIGNMENT, Math.ceil((length * DTYPE_BYTES[dtype]) / ALIGNMENT) * ALIGNMENT);
    const { region, offset } = regions.take(bytes);
    const view = place(dtype, shape, { region: region.region, offset, length });
    const block: Block<R> = {
      owner: regions,
      view,
      region,
      offset,
      bytes,
      scope: null,
      place: 0,
      isReleased: false,
    };
    view.storage.allocation = block;
    moveTo(scopes.at(-1) ?? null, block);
    liveBytes += bytes;
    peakBytes = Math.max(peakBytes, liveBytes);
    onChange?.(view, bytes);
    return view;
  };

  /** The block of a view that `allocate` returned and that is alive. */
  const liveBlock = (view: ArrayView): Block<R> | undefined => {
    const block = view.storage?.allocation as Block<R> | undefined;
    return block && block.view === view && block.owner === regions && !block.isReleased && !disposed
      ? block
      : undefined;
  };

  const release = (view: ArrayView): void => {
    const block = liveBlock(view);
    if (!block) return;
    block.region.give(block.offset, block.bytes);
    moveTo(null, block);
    block.isReleased = true;
    liveBytes -= block.bytes;
    onChange?.(view, -block.bytes);
  };

  const scoped = <T>(body: () => T, keep: (result: T) => Iterable<ArrayView | undefined> = () => []): T => {
    const scope: Block<R>[] = [];
    scopes.push(scope);
    try {
      const result = body();
      if (result instanceof Promise) {
        result.catch(() => {}); // it goes on with released arrays, and may fail after the refusal
        refuseAsyncBody(name);
      }
      const outer = scopes.at(-2) ?? null;
      for (const view of keep(result)) {
        const block = view && liveBlock(view);
        if (block?.scope === scope) moveTo(outer, block);
      }
      return result;
    } finally {
      scopes.pop();
      while (scope.length > 0) release(scope.at(-1)!.view);
    }
  };

  const persist = (...views: (ArrayView | undefined)[]): void => {
    for (const view of views) {
      const block = view && liveBlock(view);
      if (block) moveTo(null, block);
    }
  };

  return {
    name,
    allocate,
    release,
    scoped,
    persist,
    isOwn: (view) => liveBlock(view) !== undefined,
    isReleased({ storage }) {
      const block = storage?.allocation as Block<R> | undefined;
      return block !== undefined && (block.isReleased || block.owner.isDisposed);
    },
    usage: (): MemoryUsage => ({
      liveBytes,
      peakBytes,
      touchedBytes: regions.touchedBytes,
      peakTouchedBytes: regions.peakTouchedBytes,
      reservedBytes: regions.reservedBytes,
    }),
    resetPeak: () => {
      peakBytes = liveBytes;
    },
    trim: () => {
      regions.trim();
    },
    dispose() {
      if (disposed) return;
      disposed = true;
      regions.dispose();
      liveBytes = 0;
    },
  };
}

function refuseAsyncBody(where: string): never {
  throw new QdyloraError('BAD_ARGUMENT', {
    where,
    problem: 'the body of `scoped` must not be async: its arrays would be released at its first await',
    nextStep: 'Call `persist` for arrays that must live longer, and `release` them yourself.',
  });
}

/** Moves a block from its scope to another one, or to none. */
function moveTo<R>(scope: Block<R>[] | null, block: Block<R>): void {
  const last = block.scope?.pop();
  if (last && last !== block) {
    last.place = block.place;
    block.scope![last.place] = last;
  }
  block.scope = scope;
  if (scope) block.place = scope.push(block) - 1;
}
