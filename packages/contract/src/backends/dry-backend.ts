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
   * What an op needs beside its arrays while it runs: allocated in the memory and given back. Without it ops
   * need nothing.
   */
  readonly workspace?: (opName: string) => Kernel | undefined;
}

const nothing: Kernel = () => {};

/**
 * A backend without arithmetic: every op, known or new, takes its shape rule's outputs out of a dry memory
 * and leaves them as they are. Running a real step on it *is* the memory plan.
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
