import {
  checkOptions,
  CONTRACT_VERSION,
  DisposedError,
  FLOAT_DTYPES,
  kernelTable,
  numberWithin,
  oneOf,
  scratchIn,
  someText,
  wholeNumber,
  type AddressSpace,
  type Backend,
  type Memory,
  type PageStore,
  type OptionRules,
} from '@qdylora/contract';
import { openCubins } from '../archive/open-cubins.ts';
import { enterDevice, type DeviceContext } from '../driver/device-context.ts';
import type { CudaDevice } from '../driver/list-cuda-devices.ts';
import { openDriver, type OpenDriverOptions } from '../driver/open-driver.ts';
import { cudaKernels } from '../kernel-table.ts';
import { createLauncher, type Launcher } from '../launch/launcher.ts';
import { createCudaMemory } from '../memory/create-cuda-memory.ts';
import { regionsInside, regionsOfDevice } from '../memory/region-source.ts';
import { openPinnedPages } from '../memory/pinned-pages.ts';
import { StagingRing } from '../memory/staging-ring.ts';
import type { ProductLibrary } from '../products/library-product.ts';
import {
  openLibrary,
  type CublasInUse,
  type OpenLibrary,
  type ProductOptions,
} from '../products/open-library.ts';
import { createRecording } from './create-recording.ts';
import { REGION_BYTES } from './region-bytes.ts';
import { measurementsOn, type CudaMeasurements } from './measure.ts';

/**
 * Options of `createCudaBackend`: the GPU, how its memory is reserved, and which products cuBLASLt computes.
 */
export interface CudaBackendOptions extends OpenDriverOptions, ProductOptions {
  /** Number of the device, as `listCudaDevices` shows it. Default: 0. */
  readonly device?: number;
  /**
   * Reserves one region of so many bytes at once, and nothing later. Default: regions are reserved as they
   * are needed.
   */
  readonly memoryBytes?: number;
  /** Smallest region in bytes, where `memoryBytes` is not given. Default: 64 MiB. */
  readonly regionBytes?: number;
}

const RULES: OptionRules<CudaBackendOptions> = {
  libraryPath: someText,
  addonPath: someText,
  device: wholeNumber(),
  memoryBytes: wholeNumber(1),
  regionBytes: numberWithin({ above: 0 }),
  products: oneOf(['table', 'library', 'own']),
  productTable: someText,
  cublasPath: someText,
};

/** A backend of one NVIDIA GPU: its memory and the CUDA kernels. */
export interface CudaBackend extends Backend, CudaMeasurements, Disposable {
  /** The images that run: `sm_80`, or `compute_80` for PTX that the driver compiled. */
  readonly level: string;
  readonly device: CudaDevice;
  /** cuBLASLt, or why there is none. */
  readonly cublas: CublasInUse;
  /** Which products it computes, and its workspaces, for plans (`createDryCudaBackend`); null without it. */
  readonly library: Pick<ProductLibrary, 'isFaster' | 'workspaceBytes'> | null;
  /** Ends all work and returns the memory to the device. */
  dispose(): void;
}

/** Region of a recording with few temporaries: the driver gives no less. */
const TOKEN_REGION_BYTES = 2 * 2 ** 20;

/**
 * The memory of an NVIDIA GPU and the CUDA kernels. Calls enqueue; `memory.read` waits. Ops without a kernel
 * throw MissingKernelError.
 *
 * @throws QdyloraError UNSUPPORTED where there is no GPU, no driver, or no kernel for it;
 * InsufficientMemoryError where the device has no `memoryBytes`
 * @example
 * using backend = await createCudaBackend();
 * const y = runOp(backend, copy, { x }, {});
 * console.log(await backend.memory.read(y));
 */
export async function createCudaBackend(options: CudaBackendOptions = {}): Promise<CudaBackend> {
  checkOptions('cuda', options, RULES);
  const cubins = await openCubins();
  const context = enterDevice(openDriver(options), options.device ?? 0);
  try {
    const level = cubins.pick(context.device.capability);
    const launcher = createLauncher(context, cubins, level);
    const products = await openLibrary(context, options);
    const backend = backendOn({ context, launcher, level, ...products }, options);
    if (options.memoryBytes !== undefined) reserveNow(backend);
    return backend;
  } catch (error) {
    context.dispose();
    throw error;
  }
}

/** The only region is reserved with the first array. */
function reserveNow(backend: CudaBackend): void {
  const { memory } = backend;
  try {
    memory.release(memory.allocate('u8', [1]));
  } catch (error) {
    backend.dispose();
    throw error;
  }
}

/** Opens a store of pages that is in `stores` until it is disposed. */
function openStoreIn(stores: Set<Disposable>, context: DeviceContext, byteLength: number): PageStore {
  const pages = openPinnedPages(context, byteLength);
  const dispose = (): void => {
    stores.delete(store);
    pages.dispose();
  };
  const store = { ...pages, dispose, [Symbol.dispose]: dispose };
  stores.add(store);
  return store;
}

/** A memory of temporaries, in regions that are arrays of the backend's memory. */
const recordingMemory = (memory: Memory, staging: StagingRing, regionBytes: number): Memory =>
  createCudaMemory({
    name: 'cuda recording',
    space: memory.space,
    regions: regionsInside(memory),
    staging,
    regionBytes,
  });

/** Opens the staging ring; where that fails, the library is closed again. */
function openStaging(context: DeviceContext, library: OpenLibrary | null): StagingRing {
  try {
    return new StagingRing(context);
  } catch (error) {
    library?.dispose();
    throw error;
  }
}

/** What a backend is made of. */
interface Parts {
  readonly context: DeviceContext;
  readonly cublas: CublasInUse;
  readonly library: OpenLibrary | null;
  readonly launcher: Launcher;
  readonly level: string;
}

function backendOn(
  { context, cublas, library, launcher, level }: Parts,
  { memoryBytes, regionBytes = REGION_BYTES }: CudaBackendOptions,
): CudaBackend {
  const staging = openStaging(context, library);
  const space: AddressSpace = { name: `cuda:${context.device.index}`, isHost: false };
  const memory = createCudaMemory({
    name: 'cuda',
    space,
    regions: regionsOfDevice(context, memoryBytes),
    staging,
    regionBytes: memoryBytes ?? regionBytes,
    trimsWhenFull: true,
  });
  const kernels = kernelTable(
    cudaKernels({ launch: launcher.launch, withScratch: scratchIn(memory), library: library ?? undefined }),
  );
  const recordings = new Set<Disposable>();
  const pageStores = new Set<Disposable>();
  let isDisposed = false;
  const dispose = (): void => {
    if (isDisposed) return;
    isDisposed = true;
    for (const dependent of [...recordings, ...pageStores]) dependent[Symbol.dispose]();
    staging.dispose();
    memory.dispose();
    library?.dispose();
    launcher.dispose();
    context.dispose();
  };
  const assertLive = (): void => {
    if (isDisposed) throw new DisposedError('backend');
  };
  const backend: CudaBackend = {
    name: 'cuda',
    contractVersion: CONTRACT_VERSION,
    floatDtypes: FLOAT_DTYPES,
    level,
    device: context.device,
    cublas,
    library,
    memory: { ...memory, freeBytes: () => context.driver.cuMemGetInfo()[0] },
    kernel: (opName) => kernels.get(opName)?.run,
    ...measurementsOn(context),
    record: ({ isLarge = false } = {}) =>
      createRecording(backend, {
        context,
        launcher,
        library,
        recordings,
        assertLive,
        createMemory: () =>
          recordingMemory(memory, staging, isLarge ? regionBytes : Math.min(regionBytes, TOKEN_REGION_BYTES)),
      }),
    openPageStore: (byteLength) => openStoreIn(pageStores, context, byteLength),
    dispose,
    [Symbol.dispose]: dispose,
  };
  return backend;
}
