import { FLOAT_DTYPES } from '../arrays/dtype.ts';
import { CONTRACT_VERSION, type Backend } from './backend.ts';
import { createDryMemory, type DryMemory } from '../memory/dry-memory.ts';
import type { PageStore } from '../memory/page-store.ts';
import type { Kernel } from '../ops/kernel.ts';

/** A backend without kernels that plans memory: see `createDryBackend`. */
export interface DryBackend extends Backend {
  readonly memory: DryMemory;
  /** The most bytes that its page stores had at one time: host memory beside a device. */
  pageBytes(): number;
}

/** Options of `createDryBackend`: the properties of the backend that is planned for. */
export interface DryBackendOptions {
  /** Default: a new `createDryMemory()`. */
  readonly memory?: DryMemory;
  /** The layout of packed weights on that backend. Default: row-major. */
  readonly packedLayout?: Backend['packedLayout'];
  /** True to plan for a device: the backend opens page stores, without bytes. False by default. */
  readonly hasPageStores?: boolean;
  /** Default: all. */
  readonly floatDtypes?: Backend['floatDtypes'];
  /**
   * Allocates and releases the workspace of an op while it runs. By default ops need none.
   */
  readonly workspace?: (opName: string) => Kernel | undefined;
}

const nothing: Kernel = () => {};

/**
 * A backend that computes nothing: each op allocates its outputs, by its shape rule, in a dry memory. Running
 * a real step on it is the memory plan.
 *
 * @example
 * const backend = createDryBackend();
 * runOp(backend, someOp, inputs, attributes);
 * backend.memory.usage().peakBytes;
 */
export function createDryBackend({
  memory = createDryMemory(),
  packedLayout,
  hasPageStores = false,
  floatDtypes = FLOAT_DTYPES,
  workspace,
}: DryBackendOptions = {}): DryBackend {
  const pages = createDryPages();
  return {
    name: 'dry',
    contractVersion: CONTRACT_VERSION,
    memory,
    packedLayout,
    floatDtypes,
    kernel: (opName) => workspace?.(opName) ?? nothing,
    pageBytes: pages.peakBytes,
    ...(hasPageStores && { openPageStore: pages.open }),
  };
}

/** Page stores without bytes, and the most bytes that those which were open at one time would have had. */
function createDryPages() {
  let liveBytes = 0;
  let peakBytes = 0;
  return {
    peakBytes: () => peakBytes,
    open(byteLength: number): PageStore {
      liveBytes += byteLength;
      peakBytes = Math.max(peakBytes, liveBytes);
      let isOpen = true;
      const dispose = (): void => {
        if (isOpen) liveBytes -= byteLength;
        isOpen = false;
      };
      return {
        byteLength,
        read: () => ({ wait() {} }),
        write: () => ({ wait() {} }),
        dispose,
        [Symbol.dispose]: dispose,
      };
    },
  };
}
