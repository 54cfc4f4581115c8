import type { Arrays } from '../arrays/array-view.ts';
import type { Op } from './op.ts';

/**
 * A backend's implementation of an op. `runOp` has checked the call and allocated the outputs. The kernel
 * enqueues its work and returns.
 */
export type Kernel<I = Arrays, O = Arrays, A = unknown> = (inputs: I, outputs: O, attributes: A) => void;

/** A kernel with the op that it implements. */
export interface BoundKernel {
  readonly op: Op;
  readonly run: Kernel;
}

/** Pairs an op with its kernel. The compiler checks that their types agree. */
export const bindKernel = <I extends Arrays, O extends Arrays, A>(
  op: Op<I, O, A>,
  run: Kernel<I, O, A>,
): BoundKernel => ({ op: op as unknown as Op, run: run as unknown as Kernel });

/** A backend's kernels by op name. */
export const kernelTable = (kernels: readonly BoundKernel[]): ReadonlyMap<string, BoundKernel> =>
  new Map(kernels.map((k) => [k.op.name, k]));
