import { createArena } from './arena.ts';
import { f32View, hostData, viewOf, type ArrayView } from '../arrays/array-view.ts';
import { typedArray, type DataOf, type DType, type HalfDType } from '../arrays/dtype.ts';
import { DisposedError, InsufficientMemoryError, QdyloraError } from '../errors/errors.ts';
import type { Memory } from './memory.ts';
import { isHalfDType } from '../numbers/half-types.ts';
import { elementCount, shapeText } from '../arrays/shape.ts';
import { HOST_SPACE } from '../arrays/storage.ts';

/** Options of `createHostMemory`: how it reserves regions and gives them back to the system. */
export interface HostMemoryOptions {
  /** Names the memory in errors. Default: `host`. */
  readonly name?: string;
  /**
   * Reserves one region; by default a JavaScript ArrayBuffer. Throws InsufficientMemoryError if there is no
   * memory.
   */
  readonly reserve?: (bytes: number) => ArrayBufferLike;
  /** Returns a region to the system. By default the garbage collector does. */
  readonly unreserve?: (buffer: ArrayBufferLike) => void;
  /** Returns the RAM of an unused range to the system. By default it stays with the process. */
  readonly discard?: (buffer: ArrayBufferLike, offset: number, bytes: number) => void;
  /** Smallest region, in bytes. Default: 1 MiB. */
  readonly regionBytes?: number;
  /**
   * Fills fresh float arrays with NaN, so that tests detect reads of memory that was never written. Default:
   * false.
   */
  readonly poison?: boolean;
}

/** Bit patterns of a quiet NaN. */
const HALF_NAN: Readonly<Record<HalfDType, number>> = { bf16: 0x7fc0, f16: 0x7e00 };

/** @throws InsufficientMemoryError */
function reserveBuffer(bytes: number, where: string): ArrayBuffer {
  try {
    return new ArrayBuffer(bytes);
  } catch {
    throw new InsufficientMemoryError(bytes, NaN, where);
  }
}

/** Host memory: arrays are typed arrays. */
export function createHostMemory(options: HostMemoryOptions = {}): Memory {
  const {
    name = 'host',
    reserve = (bytes: number) => reserveBuffer(bytes, name),
    unreserve,
    discard,
    regionBytes = 1 << 20,
    poison = false,
  } = options;
  const arena = createArena<ArrayBufferLike>({
    name,
    regionBytes,
    reserve,
    unreserve,
    discard,
    place(dtype, shape, { region, offset, length }) {
      const view = viewOf(dtype, shape, typedArray(dtype, region, offset, length));
      if (poison && dtype === 'f32') hostData(view).fill(NaN);
      if (poison && isHalfDType(dtype)) hostData(view).fill(HALF_NAN[dtype]);
      return view;
    },
  });
  const alive = <D extends DType>(view: ArrayView<D>): ArrayView<D> => {
    if (
      !arena.isOwn(view) &&
      (arena.isReleased(view) || (hostData(view).length === 0 && elementCount(view.shape) > 0))
    )
      throw new DisposedError('array');
    return view;
  };
  return {
    ...arena,
    space: HOST_SPACE,
    read: async <D extends DType>(view: ArrayView<D>): Promise<DataOf[D]> =>
      hostData(alive(view)).slice() as DataOf[D],
    write(view, values) {
      const data = hostData(alive(view));
      if (values.length > data.length)
        throw new QdyloraError('BAD_SHAPE', {
          where: name,
          problem:
            `an array of ${shapeText(view.shape)} takes at most ${data.length} values ` +
            `(got ${values.length})`,
        });
      data.set(values as ArrayLike<number>);
    },
    fill: (view, body) => {
      body(hostData(alive(view)));
    },
    constant: (values) => f32View([values.length], values),
    [Symbol.dispose]: arena.dispose,
  };
}
