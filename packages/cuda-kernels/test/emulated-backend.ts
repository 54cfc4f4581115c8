import {
  CONTRACT_VERSION,
  constantsOf,
  createArena,
  DTYPE_BYTES,
  elementCount,
  FLOAT_DTYPES,
  kernelTable,
  typedArray,
  type AddressSpace,
  type Allocation,
  type ArrayView,
  type Backend,
  type DataOf,
  type DType,
  type Memory,
  type Storage,
} from '@qdylora/contract';
import { cudaKernels } from '../src/kernel-table.ts';
import type { Argument, CudaDoor } from '../src/launch/launch.ts';
import type { EmulatedArgument, Emulator } from './emulator.ts';

export interface EmulatedOptions {
  readonly emulator: Emulator;
  /** The PTX of a source. */
  readonly ptxOf: (source: string) => string;
  readonly seed?: number;
  readonly approximation?: number;
  /** True places arrays one element past an aligned address. */
  readonly isSkewed?: boolean;
  readonly mostInstructions?: number;
  /** Called with the name of each kernel that is launched. */
  readonly onLaunch?: (kernel: string) => void;
}

const SPACE: AddressSpace = { name: 'emulated GPU', isHost: false };

/** Bytes of an emulated device, each with a flag that says whether anybody wrote it. */
class EmulatedStorage implements Storage {
  readonly space = SPACE;
  readonly byteLength: number;
  allocation: Allocation | undefined = undefined;
  readonly bytes: Uint8Array;
  readonly written: Uint8Array;

  constructor(byteLength: number, skew: number) {
    this.byteLength = byteLength;
    this.bytes = new Uint8Array(new ArrayBuffer(byteLength + skew), skew, byteLength);
    this.written = new Uint8Array(byteLength);
  }
}

/** The bytes of a view and their flags. */
function partOf(view: ArrayView): { readonly bytes: Uint8Array; readonly written: Uint8Array } {
  const { bytes, written } = view.storage as EmulatedStorage;
  const begin = view.offset * DTYPE_BYTES[view.dtype];
  const end = begin + elementCount(view.shape) * DTYPE_BYTES[view.dtype];
  return { bytes: bytes.subarray(begin, end), written: written.subarray(begin, end) };
}

function emulated(argument: Argument): EmulatedArgument {
  if (!('view' in argument)) return argument;
  const { type, view } = argument;
  return { type, ...partOf(view), elementBytes: DTYPE_BYTES[view.dtype] };
}

/**
 * A backend whose kernels are the compiled PTX, run by the emulator: each call throws what the kernel did
 * wrong. Reading an array throws where the kernels left a byte unwritten.
 */
export function createEmulatedBackend(options: EmulatedOptions): Backend {
  const { emulator, ptxOf, seed = 0, approximation = 0, mostInstructions = 1e10 } = options;
  const memory = createEmulatedMemory(options.isSkewed ?? false);
  const modules = new Map<string, object>();
  const moduleOf = (source: string): object => {
    const loaded = modules.get(source) ?? emulator.load(ptxOf(source));
    modules.set(source, loaded);
    return loaded;
  };
  const door: CudaDoor = {
    launch({ module, kernel, blocks, threads, arguments: list }) {
      if (blocks === 0) return;
      options.onLaunch?.(kernel);
      emulator.run(moduleOf(module), {
        kernel,
        grid: [blocks, 1, 1],
        block: [threads, 1, 1],
        arguments: list.map(emulated),
        seed,
        approximation,
        mostInstructions,
      });
    },
    withScratch: (length, body) => memory.scoped(() => body(memory.allocate('f32', [length]))),
  };
  const kernels = kernelTable(cudaKernels(door));
  return {
    name: 'emulated-cuda',
    contractVersion: CONTRACT_VERSION,
    floatDtypes: FLOAT_DTYPES,
    memory,
    kernel: (opName) => kernels.get(opName)?.run,
  };
}

function createEmulatedMemory(isSkewed: boolean): Memory {
  const arena = createArena<null>({
    name: SPACE.name,
    regionBytes: 1 << 20,
    reserve: () => null,
    place: (dtype, shape, { length }) => ({
      dtype,
      shape,
      storage: new EmulatedStorage(length * DTYPE_BYTES[dtype], isSkewed ? DTYPE_BYTES[dtype] : 0),
      offset: 0,
    }),
  });
  const write = <D extends DType>(view: ArrayView<D>, values: ArrayLike<number>): void => {
    const data = typedArray(view.dtype, null, 0, elementCount(view.shape));
    (data as Float32Array).set(values as Float32Array);
    const { bytes, written } = partOf(view);
    bytes.set(new Uint8Array(data.buffer));
    written.fill(1);
  };
  return {
    ...arena,
    space: SPACE,
    constant: constantsOf({ ...arena, write }),
    read<D extends DType>(view: ArrayView<D>): Promise<DataOf[D]> {
      const { bytes, written } = partOf(view);
      const missing = written.indexOf(0);
      if (missing >= 0)
        return Promise.reject(
          new Error(`byte ${missing} of ${view.dtype} [${view.shape.join()}] was never written`),
        );
      return Promise.resolve(typedArray(view.dtype, bytes.slice().buffer, 0, elementCount(view.shape)));
    },
    write,
    fill(view, body) {
      const staging = typedArray(view.dtype, null, 0, elementCount(view.shape));
      body(staging);
      write(view, staging as Float32Array);
    },
    [Symbol.dispose]: arena.dispose,
  };
}
