import {
  constantsOf,
  createDryBackend,
  createDryMemory,
  kernelTable,
  type DryBackend,
} from '@qdylora/contract';
import { cudaKernels } from '../kernel-table.ts';
import type { CudaBackend } from './create-cuda-backend.ts';
import { REGION_BYTES } from './region-bytes.ts';

/** The part of the memory plan that holds temporary arrays of kernels. */
const WORKSPACES = 'workspaces of kernels';

/** A backend has them. */
export type DryCudaOptions = Partial<Pick<CudaBackend, 'library'>>;

/**
 * A backend that plans the memory of the cuda backend, and computes nothing: the same bindings allocate the
 * same temporary arrays, and launch nothing. It needs no GPU and no driver.
 *
 * @param options.library of the backend that will run: without it, our own kernels compute all products
 * @example
 * const backend = createDryCudaBackend();
 * runOp(backend, matmulNf4, inputs, attributes);
 * backend.memory.parts(); // the decoded weight is among the workspaces
 */
export function createDryCudaBackend({ library = null }: DryCudaOptions = {}): DryBackend & Disposable {
  const dry = createDryMemory({ name: 'dry cuda', regionBytes: REGION_BYTES });
  // unlike host memory, a device has a copy of each constant
  const memory = { ...dry, constant: constantsOf(dry) };
  const kernels = kernelTable(
    cudaKernels({
      launch() {},
      library: library ? { ...library, multiply() {} } : undefined,
      withScratch(length, body) {
        const scratch = memory.within(WORKSPACES, () => memory.allocate('f32', [length]));
        try {
          body(scratch);
        } finally {
          memory.release(scratch);
        }
      },
    }),
  );
  return {
    ...createDryBackend({ memory, hasPageStores: true, workspace: (opName) => kernels.get(opName)?.run }),
    [Symbol.dispose]: memory.dispose,
  };
}
