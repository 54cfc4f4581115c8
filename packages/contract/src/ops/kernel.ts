import type { Arrays } from '../arrays/array-view.ts';
import { assertArgument } from '../errors/errors.ts';
import type { Op } from './op.ts';

/**
 * A backend's implementation of an op. `runOp` has checked the call and allocated the outputs. The kernel
 * enqueues its work and returns.
 */
export interface Kernel<I = Arrays, O = Arrays, A = unknown> {
  (inputs: I, outputs: O, attributes: A): void;
  /** The op that it implements, so that `runOp` can refuse another op of the same name. */
  readonly op?: Op;
}

/** A kernel with the op that it implements. */
export interface BoundKernel {
  readonly op: Op;
  readonly run: Kernel;
}

/** Pairs an op with its kernel. The compiler checks that their types agree. */
export function bindKernel<I extends Arrays, O extends Arrays, A>(
  op: Op<I, O, A>,
  run: Kernel<I, O, A>,
): BoundKernel {
  const anyOp = op as unknown as Op;
  const call = run as unknown as Kernel;
  const bound = (inputs: Arrays, outputs: Arrays, attributes: unknown): void =>
    call(inputs, outputs, attributes);
  return { op: anyOp, run: Object.assign(bound, { op: anyOp }) };
}

/** A backend's kernels by op name. @throws QdyloraError BAD_ARGUMENT for two kernels of one name */
export function kernelTable(kernels: readonly BoundKernel[]): ReadonlyMap<string, BoundKernel> {
  const table = new Map(kernels.map((kernel) => [kernel.op.name, kernel]));
  const names = kernels.map(({ op }) => op.name);
  const repeated = names.find((name, i) => names.indexOf(name) < i);
  assertArgument(repeated === undefined, 'kernelTable', `There are two kernels for an op named ${repeated}`);
  return table;
}
