import type { Kernel } from './kernel.ts';
import type { Memory } from './memory.ts';

/** Version of this contract; a backend built for another one is refused. */
export const CONTRACT_VERSION = 1;

/** A backend is memory + kernels, handed down as an argument. */
export interface Backend {
  readonly name: string;
  readonly contractVersion: number;
  readonly memory: Memory;
  /** The backend's own body of the op, or undefined: then the reference runs where memory is host memory. */
  kernel(opName: string): Kernel | undefined;
  /** Told each time that a reference runs in place of a kernel. */
  readonly onFallback?: (opName: string) => void;
}
