import type { Kernel } from './kernel.ts';
import type { Arrays, Op } from './op.ts';
import type { Memory } from './memory.ts';
import type { Recording } from './repeated-call.ts';

/** Version of this contract; a backend built for another one is refused. */
export const CONTRACT_VERSION = 1;

/** One run of an op. */
export interface OpCall {
  readonly op: Op;
  readonly inputs: Arrays;
  readonly outputs: Arrays;
  readonly attributes: unknown;
}

/** A backend is memory + kernels, handed down as an argument. */
export interface Backend {
  readonly name: string;
  /**
   * Which of several sets of kernels runs, where these round differently: `avx512`. Equal names and levels
   * give equal bits.
   */
  readonly level?: string;
  readonly contractVersion: number;
  readonly memory: Memory;
  /** The backend's own body of the op, or undefined: then the reference runs where memory is host memory. */
  kernel(opName: string): Kernel | undefined;
  /**
   * How its kernels read packed weights fastest; left out = row-major, as files hold them. Both give the same
   * numbers.
   */
  readonly packedLayout?: 'tiles';
  /** Told each time that a reference runs in place of a kernel. */
  readonly onFallback?: (opName: string) => void;
  /**
   * Runs each op in the backend's place, by calling `run` once: for a profile. On a device `run` enqueues.
   */
  readonly aroundCall?: (call: OpCall, run: () => void) => void;
  /**
   * Begins a recording, where the backend can repeat calls faster than they are made; `repeatedCall` uses it.
   * `aroundCall` is not told of replays.
   */
  readonly record?: () => Recording;
}
