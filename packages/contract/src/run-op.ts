import { assertTaken } from './array-rule.ts';
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
 * Runs one op: checks its inputs and attributes, makes the outputs that `given` does not hold, calls the
 * backend's kernel or, in host memory, the reference.
 * Strided inputs are made contiguous first, so no kernel sees a stride.
 *
 * @throws QdyloraError BAD_ARGUMENT where an input or an output that must be handed in is missing, an element
 * type or an attribute is none that the op takes, or an output lies over memory that the op does not let it
 * overwrite; BAD_SHAPE where sizes do not fit; DISPOSED where an array's memory is gone; MissingKernelError
 * where nothing can run the op; and what the op itself says.
 */
export function runOp<I extends Arrays, O extends Arrays, A>(
  backend: Backend,
  op: Op<I, O, A>,
  inputs: I,
  attributes: A,
  given: Partial<O> = {},
): O {
  const { outputs, run } = prepareOp(backend, op, inputs, attributes, given);
  run();
  return outputs;
}

/** A call that waits: its outputs are there, their contents come with `run`. */
export interface PreparedCall<O> {
  readonly outputs: O;
  run(): void;
}

/**
 * `runOp` up to the moment at which the kernel would run; until then its arrays have to live. @throws as
 * `runOp`
 */
export function prepareOp<I extends Arrays, O extends Arrays, A>(
  backend: Backend,
  op: Op<I, O, A>,
  inputs: I,
  attributes: A,
  given: Partial<O> = {},
): PreparedCall<O> {
  const { memory } = backend;
  // Loops over names and no lists of entries: of a kernel of a few microseconds the call would be half.
  if (memory.isHost) {
    for (const name in inputs) {
      const view = inputs[name];
      if (view) assertUsable(op.name, name, view, memory);
    }
  }
  assertAttributes(op as Pick<Op, 'name' | 'acceptsNaN'>, attributes);
  assertTaken(op.name, op.rules, inputs);
  const specs = op.shapes(inputs, attributes);
  const adds = (attributes as { accumulate?: boolean }).accumulate === true ? op.addsWhereAsked : undefined;
  const outputs: Record<string, ArrayView | undefined> = {};
  for (const name in specs) {
    const spec = specs[name];
    const own = given[name] as ArrayView | undefined;
    if (own && spec && memory.isHost) assertUsable(op.name, name, own, memory);
    if (
      own &&
      spec &&
      (own.dtype !== spec.dtype || !sameShape(own.shape, spec.shape) || !isContiguous(own))
    ) {
      throw new QdyloraError('BAD_SHAPE', {
        where: op.name,
        problem:
          `expected contiguous ${spec.dtype} ${shapeText(spec.shape)} for the output ${name}, got ` +
          `${own.dtype} ${shapeText(own.shape)}`,
      });
    }
    if (spec && !own) {
      if (name === adds || op.updates?.includes(name as never)) refuseMissing(op.name, name);
      if (op.accumulates?.includes(name as never)) continue; // an accumulated output that nobody wants
    }
    outputs[name] = spec && (own ?? backend.memory.allocate(spec.dtype, spec.shape));
  }
  if (memory.isHost) assertApart(op as Pick<Op, 'name' | 'overwrites'>, inputs, given as Arrays);
  const kernel = backend.kernel(op.name) as Kernel<I, O, A> | undefined;
  if (!kernel && !backend.memory.isHost) throw new MissingKernelError(op.name, backend.name);
  if (!kernel) backend.onFallback?.(op.name);
  const body: Kernel<I, O, A> =
    kernel ??
    ((own, made, given) => {
      runReference(op, own, made, given);
    });
  const compute = (): void => {
    body(contiguousInputs(inputs), outputs as O, attributes);
  };
  const { aroundCall } = backend;
  const run = aroundCall
    ? (): void => aroundCall({ op: op as unknown as Op, inputs, outputs, attributes }, compute)
    : compute;
  return { outputs: outputs as O, run };
}

/**
 * Numbers that are none, and names of float types that are none, would be taken for something by every kernel
 * in its own way.
 */
function assertAttributes(
  { name: where, acceptsNaN }: Pick<Op, 'name' | 'acceptsNaN'>,
  attributes: unknown,
): void {
  if (typeof attributes !== 'object' || attributes === null)
    throw new QdyloraError('BAD_ARGUMENT', {
      where,
      problem: `expected an object of attributes, got ${String(attributes)}`,
      nextStep: 'Without attributes it is {}.',
    });
  const values = attributes as Readonly<Record<string, unknown>>;
  for (const name in values) {
    const value = values[name];
    if (value !== value && !acceptsNaN)
      throw new QdyloraError('BAD_ARGUMENT', { where, problem: `expected a number for ${name}, got NaN` });
    if (typeof value === 'string' && value !== 'f32' && value !== 'bf16' && name.endsWith('Dtype'))
      throw new QdyloraError('BAD_ARGUMENT', {
        where,
        problem: `expected f32 or bf16 for ${name}, got ${value}`,
      });
  }
}

function refuseMissing(where: string, output: string): never {
  throw new QdyloraError('BAD_ARGUMENT', {
    where,
    problem: `expected the output ${output}, which the call changes, got none`,
    nextStep: 'Hand it in as the last argument: runOp(backend, op, inputs, attributes, { … }).',
  });
}

function contiguousInputs<I extends Arrays>(inputs: I): I {
  let areContiguous = true;
  for (const name in inputs) areContiguous &&= !inputs[name] || isContiguous(inputs[name]);
  if (areContiguous) return inputs;
  const copy: Mutable<Record<string, ArrayView | undefined>> = {};
  for (const [name, view] of Object.entries(inputs))
    copy[name] = view && !isContiguous(view) ? compacted(view) : view;
  return copy as I;
}
