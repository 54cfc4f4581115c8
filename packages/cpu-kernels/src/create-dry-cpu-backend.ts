import {
  checkOptions,
  createDryBackend,
  createDryMemory,
  kernelTable,
  type DryBackend,
} from '@qdylora/contract';
import type { NativeFunction } from './addon/addon-functions.ts';
import { CPU_FLOAT_DTYPES, REGION_BYTES } from './create-cpu-backend.ts';
import { cpuKernels } from './kernel-table.ts';
import {
  functionOf,
  LEVEL_RULES,
  onOpenLevel,
  type OpenLevel,
  type OpenLevelOptions,
} from './addon/open-level.ts';

/** A dry backend with the workspaces of the C++ kernels: see `createDryCpuBackend`. */
export interface DryCpuBackend extends DryBackend, Disposable {
  /** The instruction set whose workspaces it plans. */
  readonly level: string;
  /** The number of threads whose workspaces it plans. */
  readonly numThreads: number;
  /** Ends the threads. */
  dispose(): void;
}

/** The part of the memory plan that holds the scratch memory of kernels. */
export const WORKSPACES = 'workspaces of kernels';

/** Workspace functions have names that end in `Scratch`. */
const isWorkspace = (name: string): boolean => name.endsWith('Scratch');

/**
 * A backend that plans the memory of the cpu backend and computes nothing. The same bindings ask the same C++
 * functions for the sizes of their workspaces, at this level and number of threads, allocate them, and call
 * nothing else.
 *
 * @throws QdyloraError as `createCpuBackend`
 */
export function createDryCpuBackend(options: OpenLevelOptions = {}): DryCpuBackend {
  checkOptions('dry cpu', options, LEVEL_RULES);
  return onOpenLevel(options, dryBackendOn);
}

function dryBackendOn(open: OpenLevel): DryCpuBackend {
  const memory = createDryMemory({ name: 'dry cpu', regionBytes: REGION_BYTES });
  const inert: NativeFunction = () => NaN;
  const kernels = kernelTable(
    cpuKernels({
      native: (name) => (isWorkspace(name) ? functionOf(open, name) : inert),
      withScratch: (floats) =>
        memory.within(WORKSPACES, () => memory.release(memory.allocate('f32', [floats]))),
    }),
  );
  return {
    ...createDryBackend({
      memory,
      packedLayout: 'tiles',
      floatDtypes: CPU_FLOAT_DTYPES,
      workspace: (opName) => kernels.get(opName)?.run,
    }),
    level: open.level,
    numThreads: open.native.threads,
    dispose: open.native.close,
    [Symbol.dispose]: open.native.close,
  };
}
