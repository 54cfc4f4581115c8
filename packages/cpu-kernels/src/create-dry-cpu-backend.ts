import {
  checkOptions,
  createDryBackend,
  createDryMemory,
  kernelTable,
  type DryBackend,
} from '@qdylora/contract';
import type { NativeFunction } from './addon-functions.ts';
import { REGION_BYTES } from './create-cpu-backend.ts';
import { cpuKernels } from './kernel-table.ts';
import { functionOf, LEVEL_RULES, openLevel, type OpenLevelOptions } from './open-level.ts';

export interface DryCpuBackend extends DryBackend, Disposable {
  readonly level: string;
  readonly numThreads: number;
  dispose(): void;
}

/** Part of the books that kernels' scratch memory stands in. */
export const WORKSPACES = 'workspaces of kernels';

/** How a workspace function is told from a kernel: by the end of its name. */
const isWorkspace = (name: string): boolean => name.endsWith('Scratch');

/**
 * What the cpu backend would need, without its arithmetic: the same bindings ask the same C++ functions for
 * the size of their workspaces at this level and number of threads, take them from the same kind of regions,
 * and then call nothing.
 *
 * @throws QdyloraError as `createCpuBackend` does
 */
export function createDryCpuBackend(options: OpenLevelOptions = {}): DryCpuBackend {
  checkOptions('dry cpu', options, LEVEL_RULES);
  const open = openLevel(options);
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
    ...createDryBackend({ memory, packedLayout: 'tiles', workspace: (opName) => kernels.get(opName)?.run }),
    level: open.level,
    numThreads: open.native.threads,
    dispose: open.native.close,
    [Symbol.dispose]: open.native.close,
  };
}
