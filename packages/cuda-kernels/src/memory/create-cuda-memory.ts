import {
  constantsOf,
  createArena,
  DisposedError,
  DTYPE_BYTES,
  elementCount,
  InsufficientMemoryError,
  QdyloraError,
  shapeText,
  typedArray,
  type AddressSpace,
  type Arena,
  type ArrayView,
  type DataOf,
  type DType,
  type Memory,
} from '@qdylora/contract';
import type { Handle } from '../addon/addon-functions.ts';
import { addressOf, CudaStorage } from './cuda-storage.ts';
import type { RegionSource } from './region-source.ts';
import type { StagingRing } from './staging-ring.ts';

export interface CudaMemoryOptions {
  readonly name: string;
  readonly space: AddressSpace;
  readonly regions: RegionSource;
  readonly staging: StagingRing;
  /** Smallest region, in bytes. */
  readonly regionBytes: number;
  /**
   * Gives empty regions back where there is no room for another one. Not for a recording, which writes into
   * its regions again.
   */
  readonly trimsWhenFull?: boolean;
}

/** A new region; where there is no room, the empty ones are given back.  @throws InsufficientMemoryError */
function reserveIn(
  arena: Arena,
  bytes: number,
  { regions, trimsWhenFull }: Pick<CudaMemoryOptions, 'regions' | 'trimsWhenFull'>,
): Handle {
  const usage = arena.usage();
  try {
    return regions.reserve(bytes, usage);
  } catch (error) {
    if (!trimsWhenFull || !(error instanceof InsufficientMemoryError)) throw error;
    arena.trim();
    if (arena.usage().reservedBytes === usage.reservedBytes) throw error;
    return regions.reserve(bytes, arena.usage());
  }
}

/** Memory of a device: arrays in regions, read and written by copies in the order of the stream. */
export function createCudaMemory({
  name,
  space,
  regions,
  staging,
  regionBytes,
  trimsWhenFull,
}: CudaMemoryOptions): Memory {
  const arena: Arena = createArena<Handle>({
    name,
    regionBytes,
    reserve: (bytes) => reserveIn(arena, bytes, { regions, trimsWhenFull }),
    unreserve: regions.unreserve,
    place: (dtype, shape, { region, offset, length }) => ({
      dtype,
      shape,
      storage: new CudaStorage(space, region + offset, length * DTYPE_BYTES[dtype]),
      offset: 0,
    }),
  });
  const alive = <D extends DType>(view: ArrayView<D>): ArrayView<D> => {
    if (arena.isReleased!(view)) throw new DisposedError('array');
    if (!(view.storage instanceof CudaStorage)) throw notOnDevice(name, view);
    return view;
  };
  const write = <D extends DType>(view: ArrayView<D>, values: ArrayLike<number>): void => {
    const length = elementCount(alive(view).shape);
    if (values.length > length)
      throw new QdyloraError('BAD_SHAPE', {
        where: name,
        problem: `an array of ${shapeText(view.shape)} takes at most ${length} values (got ${values.length})`,
      });
    staging.upload(addressOf(view), bytesOf(elementsOf(view.dtype, values)));
  };
  return {
    ...arena,
    space,
    constant: constantsOf({ ...arena, write }),
    async read<D extends DType>(view: ArrayView<D>): Promise<DataOf[D]> {
      const data = typedArray(view.dtype, null, 0, elementCount(alive(view).shape));
      await staging.download(bytesOf(data), addressOf(view));
      return data;
    },
    write,
    fill(view, body) {
      const values = typedArray(view.dtype, null, 0, elementCount(alive(view).shape));
      body(values);
      write(view, values);
    },
    [Symbol.dispose]: arena.dispose,
  };
}

const notOnDevice = (name: string, { dtype, shape, storage }: ArrayView): QdyloraError =>
  new QdyloraError('BAD_ARGUMENT', {
    where: name,
    problem: `an array (${dtype} ${shapeText(shape)}) is in ${storage.space.name} memory, not on the device`,
  });

/** The values as elements of a dtype, without a copy where they are. */
function elementsOf<D extends DType>(dtype: D, values: ArrayLike<number>): DataOf[D] {
  const empty = typedArray(dtype, null, 0, 0);
  if (values.constructor === empty.constructor) return values as unknown as DataOf[D];
  const elements = typedArray(dtype, null, 0, values.length);
  elements.set(values);
  return elements;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
