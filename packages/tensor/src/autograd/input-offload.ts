import {
  byteLengthOf,
  QdyloraError,
  type Backend,
  type FloatView,
  type PageArrival,
  type PageStore,
} from '@qdylora/contract';

/** Pages begin at multiples of this: of a cache line. */
const ALIGNMENT = 64;

const pageBytesOf = (byteLength: number): number => Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;

/**
 * Where the inputs of recomputed blocks rest between the forward and the backward pass: beside the device,
 * so that its memory holds two of them at most. The copies run beside the computation:
 *
 * - forward: an input leaves while its block computes; its array is released when both have ended;
 * - backward: the input of the block before comes back while a block is recomputed.
 *
 * The numbers are copied unchanged, so the gradients have the same bits.
 */
export interface InputOffload extends Disposable {
  /** Makes room for the inputs of one pass: `count` arrays of `byteLength` bytes. Call it before the pass. */
  reserve(count: number, byteLength: number): void;
  /** Begins to copy an input out. */
  keep(x: FloatView): KeptInput;
  /** Forgets the inputs of a pass that has failed. Work that is enqueued later comes after all copies. */
  reset(): void;
  dispose(): void;
}

/** An input that is beside the device, or on its way. The last one that was kept is taken first. */
export interface KeptInput {
  /** Releases the array that was copied, when it has been copied. */
  leave(): void;
  /** The numbers in a fresh array of the open scope. Begins to bring back the input that was kept before. */
  take(): FloatView;
}

interface Page extends Pick<FloatView, 'dtype' | 'shape'> {
  readonly offset: number;
  readonly byteLength: number;
  /** Set while it comes back. */
  incoming: { readonly view: FloatView; readonly arrival: PageArrival } | null;
}

/** A backend that has memory beside its device. */
export type OffloadingBackend = Backend & Required<Pick<Backend, 'openPageStore'>>;

/** True where a backend has memory beside its device. */
export const canOffload = (backend: Backend): backend is OffloadingBackend =>
  backend.openPageStore !== undefined;

/**
 * Opens the memory beside the device at the first pass, and in a larger size where a pass needs more.
 *
 * @example
 * using offload = createInputOffload(backend);
 * await trainStep(view, batch, optimizer, { recompute: true, offload });
 */
export function createInputOffload({ memory, openPageStore }: OffloadingBackend): InputOffload {
  let store: PageStore | null = null;
  const pages: Page[] = [];
  const bringIn = (page: Page): NonNullable<Page['incoming']> => {
    const view = memory.allocate(page.dtype, page.shape);
    return { view, arrival: store!.read(page.offset, [view]) };
  };
  const take = (page: Page): FloatView => {
    if (pages.pop() !== page) throw outOfOrder();
    const { view, arrival } = page.incoming ?? bringIn(page);
    arrival.wait();
    const next = pages.at(-1);
    if (next) next.incoming = bringIn(next);
    return view;
  };
  const dispose = (): void => {
    store?.dispose();
    store = null;
    pages.length = 0;
  };
  return {
    reserve(count, byteLength) {
      const bytes = count * pageBytesOf(byteLength);
      if (bytes <= (store?.byteLength ?? 0)) return;
      dispose();
      store = openPageStore(bytes);
    },
    keep(x) {
      const last = pages.at(-1);
      const offset = last ? last.offset + last.byteLength : 0;
      const byteLength = pageBytesOf(byteLengthOf(x));
      if (!store || offset + byteLength > store.byteLength) throw noRoom(offset + byteLength);
      const page: Page = { dtype: x.dtype, shape: x.shape, offset, byteLength, incoming: null };
      const departure = store.write(offset, [x]);
      pages.push(page);
      return {
        leave() {
          departure.wait();
          memory.release(x);
        },
        take: () => take(page),
      };
    },
    reset() {
      for (const { incoming } of pages.splice(0)) incoming?.arrival.wait();
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

const noRoom = (neededBytes: number): QdyloraError =>
  new QdyloraError('BAD_ARGUMENT', {
    where: 'recompute',
    problem: `an input of a block does not fit into the room of \`offload\` (it needs ${neededBytes} bytes)`,
    nextStep: 'Call `reserve` before the pass, with the number and the size of its inputs.',
    details: { neededBytes },
  });

const outOfOrder = (): QdyloraError =>
  new QdyloraError('BAD_ARGUMENT', {
    where: 'recompute',
    problem: 'the inputs of blocks must be taken back in the reverse order, once each',
    nextStep: 'Give each pass that runs at the same time an `offload` of its own.',
  });
