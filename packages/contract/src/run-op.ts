import { assertApart, assertUsable } from './assert-usable.ts';
import { compacted, isContiguous, type ArrayView } from './array-view.ts';
import type { Backend } from './backend.ts';
import { MissingKernelError, QdyloraError } from './errors.ts';
import type { Kernel } from './kernel.ts';
import { runReference } from './run-reference.ts';
import type { Arrays, Op } from './op.ts';
import { sameShape, shapeText } from './shape.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Runs one op: checks shapes, makes the outputs that `given` does not hold, calls the backend's kernel or, in host memory, the reference.
 * Strided inputs are made contiguous first, so no kernel sees a stride.
 *
 * @throws QdyloraError BAD_SHAPE where an output handed in does not fit; DISPOSED, BAD_ARGUMENT or BAD_SHAPE where an array's memory is gone, of another type or too short, or where
 * an output lies over memory that the op does not let it overwrite; MissingKernelError where nothing can run the op.
 */
export function runOp<I extends Arrays, O extends Arrays, A>(backend: Backend, op: Op<I, O, A>, inputs: I, attributes: A, given: Partial<O> = {}): O {
  const { outputs, run } = prepareOp(backend, op, inputs, attributes, given);
  run();
  return outputs;
}

/** A call that waits: its outputs are there, their contents come with `run`. */
export interface PreparedCall<O> { readonly outputs: O; run(): void }

/** `runOp` up to the moment at which the kernel would run.  @throws as `runOp` */
export function prepareOp<I extends Arrays, O extends Arrays, A>(backend: Backend, op: Op<I, O, A>, inputs: I, attributes: A, given: Partial<O> = {}): PreparedCall<O> {
  const specs = op.shapes(inputs, attributes);
  const outputs: Record<string, ArrayView | undefined> = {};
  const { memory } = backend;
  // Loops over names and no lists of entries: of a kernel of a few microseconds the call would be half.
  if (memory.isHost) {
    for (const name in inputs) {
      const view = inputs[name];
      if (view) assertUsable(op.name, name, view, memory);
    }
  }
  for (const name in specs) {
    const spec = specs[name], own = given[name] as ArrayView | undefined;
    if (own && spec && (own.dtype !== spec.dtype || !sameShape(own.shape, spec.shape) || !isContiguous(own))) {
      throw new QdyloraError('BAD_SHAPE', { where: op.name, problem: `expected contiguous ${spec.dtype} ${shapeText(spec.shape)} for the output ${name}, got ${own.dtype} ${shapeText(own.shape)}` });
    }
    if (own && spec && memory.isHost) assertUsable(op.name, name, own, memory);
    if (spec && !own && op.accumulates?.includes(name as never)) continue; // an accumulated output that nobody wants
    outputs[name] = spec && (own ?? backend.memory.allocate(spec.dtype, spec.shape));
  }
  if (memory.isHost) assertApart(op as Pick<Op, 'name' | 'overwrites'>, inputs, given as Arrays);
  const kernel = backend.kernel(op.name) as Kernel<I, O, A> | undefined;
  if (!kernel && !backend.memory.isHost) throw new MissingKernelError(op.name, backend.name);
  if (!kernel) backend.onFallback?.(op.name);
  const body: Kernel<I, O, A> = kernel ?? ((own, made, given) => { runReference(op, own, made, given); }), compute = (): void => { body(contiguousInputs(inputs), outputs as O, attributes); };
  const { aroundCall } = backend, run = aroundCall ? (): void => aroundCall({ op: op as unknown as Op, inputs, outputs, attributes }, compute) : compute;
  return { outputs: outputs as O, run };
}

function contiguousInputs<I extends Arrays>(inputs: I): I {
  let areContiguous = true;
  for (const name in inputs) areContiguous &&= !inputs[name] || isContiguous(inputs[name]);
  if (areContiguous) return inputs;
  const copy: Mutable<Record<string, ArrayView | undefined>> = {};
  for (const [name, view] of Object.entries(inputs)) copy[name] = view && !isContiguous(view) ? compacted(view) : view;
  return copy as I;
}
