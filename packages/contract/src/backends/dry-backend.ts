import { CONTRACT_VERSION, type Backend } from './backend.ts';
import { createDryMemory, type DryMemory } from '../memory/dry-memory.ts';
import type { Kernel } from '../ops/kernel.ts';

export interface DryBackend extends Backend {
  readonly memory: DryMemory;
}

export interface DryBackendOptions {
  readonly memory?: DryMemory;
  readonly packedLayout?: Backend['packedLayout'];
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
  workspace,
}: DryBackendOptions = {}): DryBackend {
  return {
    name: 'dry',
    contractVersion: CONTRACT_VERSION,
    memory,
    packedLayout,
    kernel: (opName) => workspace?.(opName) ?? nothing,
  };
}
