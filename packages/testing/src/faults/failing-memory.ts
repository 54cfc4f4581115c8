import {
  wrapBackend,
  wrapMemory,
  InsufficientMemoryError,
  type Backend,
  type Memory,
} from '@qdylora/contract';

/** A backend whose memory counts its allocations and refuses one of them. */
export interface FailingMemory {
  readonly backend: Backend;
  /** Allocations asked for so far, the refused one included. */
  readonly allocations: number;
  /** The allocation number `call` (of all so far) gets nothing; null: none. */
  failAt(call: number | null): void;
}

/** The same backend, through whose memory a test decides which allocation fails. */
export function withFailingMemory(backend: Backend): FailingMemory {
  let allocations = 0;
  let failing: number | null = null;
  const allocate: Memory['allocate'] = (dtype, shape) => {
    if (++allocations === failing)
      throw new InsufficientMemoryError(
        shape.reduce((product, size) => product * size, 4),
        0,
      );
    return backend.memory.allocate(dtype, shape);
  };
  return {
    get allocations() {
      return allocations;
    },
    failAt: (call) => {
      failing = call;
    },
    backend: wrapBackend(backend, { memory: wrapMemory(backend.memory, { allocate }) }),
  };
}
