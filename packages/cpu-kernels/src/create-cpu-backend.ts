import {
  checkOptions,
  CONTRACT_VERSION,
  createHostMemory,
  DisposedError,
  kernelTable,
  numberWithin,
  scratchIn,
  someFunction,
  trueOrFalse,
  type Backend,
  type FloatDType,
  type Kernel,
  type OptionRules,
} from '@qdylora/contract';
import type { NativeFunction } from './addon/addon-functions.ts';
import { createRecording } from './recording/create-recording.ts';
import { cpuKernels } from './kernel-table.ts';
import {
  functionOf,
  LEVEL_RULES,
  onOpenLevel,
  type OpenLevel,
  type OpenLevelOptions,
} from './addon/open-level.ts';
import { reserveRegions } from './memory/reserve-regions.ts';

/**
 * Options of `createCpuBackend`: its kernels and threads (`OpenLevelOptions`), and how it reserves memory.
 */
export interface CpuBackendOptions extends OpenLevelOptions {
  /** Smallest region that is taken from the system, in bytes. Default: 64 MiB. */
  readonly regionBytes?: number;
  /**
   * Fills fresh float arrays with NaN, so that a test sees a read of memory that was never written. Default:
   * false.
   */
  readonly poison?: boolean;
  /** Called each time a reference runs in place of a kernel. */
  readonly onFallback?: (opName: string) => void;
}

const RULES: OptionRules<CpuBackendOptions> = {
  ...LEVEL_RULES,
  regionBytes: numberWithin({ above: 0 }),
  poison: trueOrFalse,
  onFallback: someFunction,
};

/** A backend of host memory and C++ kernels on a team of threads. */
export interface CpuBackend extends Backend, Disposable {
  /** The instruction set of its kernels, such as `avx2`. */
  readonly level: string;
  readonly numThreads: number;
  /** A C++ function by name, for measurements. */
  native(name: string): NativeFunction;
  /** Ends the threads and gives the memory back. */
  dispose(): void;
}

/** Region of a recording with few temporaries: those of a token are a few hundred kilobytes. */
const TOKEN_REGION_BYTES = 2 ** 20;

/**
 * Half as much leaves gaps at the ends of regions that add up to 3 % of a training step; twice as much saves
 * nothing more (SmolLM2-135M, 4 × 512 tokens).
 */
export const REGION_BYTES = 64 * 2 ** 20;

/** Float types that the C++ kernels take. They have no float16, which no level multiplies faster. */
export const CPU_FLOAT_DTYPES: readonly FloatDType[] = ['f32', 'bf16'];

/**
 * Host memory (on huge pages where the system has them) and the C++ kernels.
 *
 * @throws QdyloraError UNSUPPORTED where the addon is missing (with the reason); BAD_ARGUMENT where the level
 * cannot run here (with those that can), and for an unknown option or one of another kind.
 * @example
 * const backend = await createCpuBackend({ numThreads: 2 });
 */
export async function createCpuBackend(options: CpuBackendOptions = {}): Promise<CpuBackend> {
  checkOptions('cpu', options, RULES);
  const { regionBytes = REGION_BYTES, poison, onFallback, ...levelOptions } = options;
  return onOpenLevel(levelOptions, (open) => backendOn(open, { regionBytes, poison, onFallback }));
}

function backendOn(
  open: OpenLevel,
  {
    regionBytes,
    poison,
    onFallback,
  }: Pick<CpuBackendOptions, 'poison' | 'onFallback'> & { readonly regionBytes: number },
): CpuBackend {
  const memory = createHostMemory({ name: 'cpu', ...reserveRegions(open.addon), regionBytes, poison });
  const native = (name: string): NativeFunction => functionOf(open, name);
  const kernels = kernelTable(cpuKernels({ native, withScratch: scratchIn(memory) }));
  let disposed = false;
  const dispose = (): void => {
    if (disposed) return;
    disposed = true;
    open.native.close();
    memory.dispose();
  };
  const assertLive = (): void => {
    if (disposed) throw new DisposedError('backend');
  };
  const backend: CpuBackend = {
    name: 'cpu',
    contractVersion: CONTRACT_VERSION,
    memory,
    floatDtypes: CPU_FLOAT_DTYPES,
    level: open.level,
    numThreads: open.native.threads,
    packedLayout: 'tiles',
    onFallback,
    dispose,
    [Symbol.dispose]: dispose,
    kernel: (opName: string): Kernel | undefined => kernels.get(opName)?.run,
    native,
    record: ({ isLarge = false } = {}) =>
      createRecording(backend, open, {
        poison,
        regionBytes: isLarge ? regionBytes : Math.min(regionBytes, TOKEN_REGION_BYTES),
        assertLive,
      }),
  };
  return backend;
}
