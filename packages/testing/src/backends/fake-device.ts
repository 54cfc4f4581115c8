import {
  byteLengthOf,
  constantsOf,
  createArena,
  CONTRACT_VERSION,
  DisposedError,
  FLOAT_DTYPES,
  hostData,
  HostStorage,
  runReference,
  typedArray,
  viewOf,
  type AddressSpace,
  type Allocation,
  type Arrays,
  type ArrayView,
  type Backend,
  type DataOf,
  type DType,
  type Memory,
  type Op,
  type PageStore,
  type Storage,
} from '@qdylora/contract';

/** What a fake device has seen so far. */
export interface FakeDeviceCounts {
  /** Pieces of work that were enqueued: kernels, copies, releases. */
  readonly enqueued: number;
  /** Times that somebody waited, and work ran because of it. */
  readonly waits: number;
  /** Times that something tried to reach the bytes of an array without waiting for a copy. */
  readonly hostAccesses: number;
}

/** A backend whose arrays JavaScript cannot reach: see `createFakeDevice`. */
export interface FakeDevice extends Backend {
  /** Counts since the device was created. */
  counts(): FakeDeviceCounts;
}

/** Options of `createFakeDevice`: its ops, and how much queued work runs at a time. */
export interface FakeDeviceOptions {
  /** All ops that it has kernels for. */
  readonly ops: readonly Op[];
  /** Work that runs in one go before others get a turn; the default is 64. */
  readonly burst?: number;
}

/**
 * A backend whose arrays lie where JavaScript cannot reach them, for tests: it finds every place that touches
 * bytes without a GPU being there.
 *
 * - Storage is opaque: `hostData` throws, and each try is counted.
 * - Nothing runs when it is called. Kernels (the references), copies and releases wait in one queue, in
 *   order;
 *   they run in bursts when somebody awaits `memory.read`.
 * - Fresh arrays and released arrays hold NaN (integers: 0x7e…), so a read of either is seen in the results.
 *
 * Its results are those of the host backend, bit for bit: the same references run in the same order.
 *
 * @example
 * const device = createFakeDevice({ ops: [linear, add] });
 */
export function createFakeDevice({ ops, burst = 64 }: FakeDeviceOptions): FakeDevice {
  const byName = new Map(ops.map((op) => [op.name, op]));
  const queue = createQueue(burst);
  const space: AddressSpace = { name: 'fake device', isHost: false };
  let hostAccesses = 0;
  const memory = createDeviceMemory(space, queue, () => hostAccesses++);
  return {
    name: 'fake-device',
    contractVersion: CONTRACT_VERSION,
    memory,
    floatDtypes: FLOAT_DTYPES,
    kernel: (opName) => {
      const op = byName.get(opName);
      return (
        op &&
        ((inputs, outputs, attributes) => {
          const [reads, writes] = [onDevice(inputs), onDevice(outputs)];
          queue.add(() => runReference(op, reads, writes, attributes));
        })
      );
    },
    openPageStore: (byteLength) => createPinnedPages(byteLength, queue),
    counts: () => ({ ...queue.counts(), hostAccesses }),
  };
}

/** Work in order, that runs only when somebody waits. */
interface Queue {
  add(work: () => void): void;
  /** Runs everything that was enqueued before the call. */
  wait(): Promise<void>;
  counts(): { readonly enqueued: number; readonly waits: number };
}

function createQueue(burst: number): Queue {
  let pending: (() => void)[] = [];
  let enqueued = 0;
  let waits = 0;
  let running: Promise<void> = Promise.resolve();
  const runAll = async (work: readonly (() => void)[]): Promise<void> => {
    for (const [i, run] of work.entries()) {
      if (i > 0 && i % burst === 0) await Promise.resolve(); // others have a turn in between
      run();
    }
  };
  return {
    add(work) {
      pending.push(work);
      enqueued++;
    },
    wait() {
      const work = pending;
      pending = [];
      waits++;
      running = running.then(() => runAll(work));
      return running;
    },
    counts: () => ({ enqueued, waits }),
  };
}

/**
 * Memory that nobody but the device can look into; reading `elements`, as host storage has them, is counted.
 */
class DeviceStorage implements Storage {
  readonly space: AddressSpace;
  readonly byteLength: number;
  allocation: Allocation | undefined = undefined;
  readonly #contents: HostStorage;
  readonly #onHostAccess: () => void;

  constructor(contents: HostStorage, space: AddressSpace, onHostAccess: () => void) {
    this.#contents = contents;
    this.#onHostAccess = onHostAccess;
    this.space = space;
    this.byteLength = contents.byteLength;
  }

  /** What code that takes this for host storage would ask for. */
  get elements(): never {
    this.#onHostAccess();
    throw new Error('JavaScript reached for the elements of an array on the fake device.');
  }

  static contentsOf(storage: Storage): HostStorage {
    return (storage as DeviceStorage).#contents;
  }
}

/** The view as the device's own work sees it. */
const inside = <D extends DType>(view: ArrayView<D>): ArrayView<D> => ({
  ...view,
  storage: DeviceStorage.contentsOf(view.storage),
});

const onDevice = <A extends Arrays>(arrays: A): A =>
  Object.fromEntries(Object.entries(arrays).map(([name, view]) => [name, view && inside(view)])) as A;

const NOT_WRITTEN = { f32: NaN, bf16: 0x7fc0, f16: 0x7e00, i32: 0x7e7e7e7e, u8: 0x7e } as const;

function createDeviceMemory(space: AddressSpace, queue: Queue, onHostAccess: () => void): Memory {
  const arena = createArena<null>({
    name: space.name,
    regionBytes: 1 << 20,
    reserve: () => null,
    place(dtype, shape, { length }) {
      const elements = typedArray(dtype, null, 0, length);
      elements.fill(NOT_WRITTEN[dtype]);
      return {
        dtype,
        shape,
        storage: new DeviceStorage(new HostStorage(elements), space, onHostAccess),
        offset: 0,
      };
    },
    onChange(view, bytes) {
      if (bytes < 0) queue.add(() => hostData(inside(view)).fill(NOT_WRITTEN[view.dtype]));
    },
  });
  const alive = <D extends DType>(view: ArrayView<D>): ArrayView<D> => {
    if (arena.isReleased!(view)) throw new DisposedError('array');
    return inside(view);
  };
  const write = <D extends DType>(view: ArrayView<D>, values: ArrayLike<number>): void => {
    const target = alive(view);
    const copy = Array.from(values); // the caller may change its array before the queue runs
    queue.add(() => hostData(target).set(copy));
  };
  return {
    ...arena,
    space,
    constant: constantsOf({ ...arena, write }),
    async read<D extends DType>(view: ArrayView<D>): Promise<DataOf[D]> {
      const source = alive(view);
      const copy = viewOf(view.dtype, view.shape, typedArray(view.dtype, null, 0, hostData(source).length));
      queue.add(() => hostData(copy).set(hostData(source) as Float32Array));
      await queue.wait();
      return hostData(copy);
    },
    write,
    fill(view, body) {
      const target = alive(view);
      const staging = typedArray(view.dtype, null, 0, hostData(target).length);
      body(staging);
      queue.add(() => hostData(target).set(staging as Float32Array));
    },
    [Symbol.dispose]: arena.dispose,
  };
}

/** Pages in memory beside the device; copies are enqueued like everything else. */
function createPinnedPages(byteLength: number, queue: Queue): PageStore {
  const bytes = new Uint8Array(byteLength);
  const copies = (
    offset: number,
    arrays: readonly ArrayView[],
  ): { page: Uint8Array; array: Uint8Array }[] => {
    let at = offset;
    return arrays.map((view) => {
      const { buffer, byteOffset } = hostData(inside(view));
      const array = new Uint8Array(buffer, byteOffset, byteLengthOf(view));
      const page = bytes.subarray(at, at + array.length);
      at += array.length;
      return { page, array };
    });
  };
  return {
    byteLength,
    read(offset, arrays) {
      const moves = copies(offset, arrays).map((move) => ({
        ...move,
        staging: new Uint8Array(move.page.length),
      }));
      // what touches the arrays before they have arrived finds NaN, and what changes them has no effect
      for (const { page, array, staging } of moves)
        queue.add(() => {
          staging.set(page);
          array.fill(0xff);
        });
      return {
        wait() {
          for (const { array, staging } of moves) queue.add(() => array.set(staging));
        },
      };
    },
    write(offset, arrays) {
      for (const { page, array } of copies(offset, arrays)) queue.add(() => page.set(array));
      return { wait() {} };
    },
    dispose() {},
    [Symbol.dispose]() {},
  };
}
