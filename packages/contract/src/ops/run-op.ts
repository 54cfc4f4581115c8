import { assertTaken } from './array-rule.ts';
import { assertApart, assertUsable } from './assert-usable.ts';
import type { Arrays, ArraySpec, ArrayView } from '../arrays/array-view.ts';
import type { Backend, OpCall } from '../backends/backend.ts';
import { FLOAT_DTYPES, isFloatDType } from '../arrays/dtype.ts';
import { assertFloatDtype } from '../backends/float-dtypes.ts';
import { isHalfDType } from '../numbers/half-types.ts';
import { MissingKernelError, QdyloraError } from '../errors/errors.ts';
import type { Kernel } from './kernel.ts';
import type { Memory } from '../memory/memory.ts';
import type { Op, SpecsOf } from './op.ts';
import { runReference } from './run-reference.ts';
import { sameShape, shapeText } from '../arrays/shape.ts';

/**
 * Runs one op. The call is validated once: inputs present and known, dtypes and shapes as declared, every
 * operand in the backend's memory, in-place outputs supplied, no aliasing. Then outputs that were not
 * supplied are allocated, and the backend's kernel runs or, in host memory, the reference. If the allocation,
 * the kernel or the reference throws, the allocated outputs are released.
 *
 * @param suppliedOutputs arrays to write to instead of fresh ones
 * @throws QdyloraError BAD_ARGUMENT (missing input or in-place output, unknown name, dtype, attribute, other
 * memory, alias), BAD_SHAPE, DISPOSED; MissingKernelError where neither a kernel nor the reference can run;
 * what the op throws
 */
// oxlint-disable-next-line max-params -- the parts of a call, in the order of every op
export function runOp<I extends Arrays, O extends Arrays, A>(
  backend: Backend,
  op: Op<I, O, A>,
  inputs: I,
  attributes: A,
  suppliedOutputs: Partial<O> = {},
): O {
  const { outputs, run } = prepareOp(backend, op, inputs, attributes, suppliedOutputs);
  try {
    run();
  } catch (error) {
    releaseAllocated(outputs, suppliedOutputs as Arrays, backend.memory);
    throw error;
  }
  return outputs;
}

function releaseAllocated(outputs: Arrays, supplied: Arrays, memory: Memory): void {
  for (const name in outputs) if (outputs[name] && !supplied[name]) memory.release(outputs[name]);
}

/** A validated call: its outputs are allocated, `run` computes their contents. */
export interface PreparedCall<O> {
  readonly outputs: O;
  run(): void;
}

/**
 * `runOp` without running the kernel: validates the call and allocates the outputs. The arrays must live
 * until `run`. @throws as `runOp`
 */
// oxlint-disable-next-line max-params -- the parts of a call, as of runOp
export function prepareOp<I extends Arrays, O extends Arrays, A>(
  backend: Backend,
  op: Op<I, O, A>,
  inputs: I,
  attributes: A,
  suppliedOutputs: Partial<O> = {},
): PreparedCall<O> {
  const { memory } = backend;
  // Loops over names, not Object.entries: a short kernel takes microseconds, and lists would double that.
  for (const name in inputs) {
    const view = inputs[name];
    if (!view) continue;
    if (!(name in op.takes)) refuseUnknown(op.name, 'input', name, op.takes);
    assertUsable(op.name, name, view, memory);
    if (isHalfDType(view.dtype)) assertFloatDtype(backend, op.name, `the array ${name}`, view.dtype);
  }
  assertAttributes(op as Pick<Op, 'name' | 'acceptsNaN'>, attributes, backend);
  assertTaken(op.name, op.rules, inputs);
  const specs = op.shapes(inputs, attributes);
  const anyOp = op as unknown as Op;
  const results: Results = { op: anyOp, specs, supplied: suppliedOutputs as Arrays, memory };
  assertResults(results, attributes);
  assertApart(op as Pick<Op, 'name' | 'overwrites'>, inputs, suppliedOutputs as Arrays);
  const kernel = backend.kernel(op.name) as Kernel<I, O, A> | undefined;
  if (kernel?.op && kernel.op !== anyOp) assertSameOp(kernel.op, anyOp, backend);
  if (!kernel && !memory.space.isHost) throw new MissingKernelError(op.name, backend.name);
  if (!kernel) backend.onFallback?.(op.name);
  const outputs = outputsOf(results);
  const compute = kernel
    ? (): void => kernel(inputs, outputs as O, attributes)
    : (): void => runReference(op, inputs, outputs as O, attributes);
  const call: OpCall = { op: anyOp, inputs, outputs, attributes };
  const recorded = backend.recordCall ? (): void => backend.recordCall!(call, compute) : compute;
  const measured = backend.measure ? (): void => backend.measure!(call, recorded) : recorded;
  const run = (): void => {
    backend.beforeCall?.();
    measured();
  };
  return { outputs: outputs as O, run };
}

/** What the outputs of a call are made from: their specs, and the arrays that the caller supplied. */
interface Results {
  readonly op: Op;
  readonly specs: SpecsOf<Arrays>;
  readonly supplied: Arrays;
  readonly memory: Memory;
}

/** Checks the supplied outputs, and that the caller supplied those that the op changes in place. */
function assertResults({ op, specs, supplied, memory }: Results, attributes: unknown): void {
  const addsTo = (attributes as { accumulate?: boolean }).accumulate === true ? op.addsWhereAsked : undefined;
  for (const name in supplied)
    if (supplied[name] && !(name in specs)) refuseUnknown(op.name, 'output', name, specs);
  for (const name in specs) {
    const spec = specs[name];
    if (!spec) continue;
    const view = supplied[name];
    if (view) {
      assertUsable(op.name, name, view, memory);
      if (view.dtype !== spec.dtype || !sameShape(view.shape, spec.shape))
        refuseOutput(op.name, name, { view, spec });
    } else if (name === addsTo)
      refuseMissing(op.name, name, 'the op adds to it, because `accumulate` is true');
    else if (op.updates?.includes(name)) refuseMissing(op.name, name, 'the op changes it in place');
  }
}

/** The outputs of a call: the supplied ones, and fresh arrays for the others. */
function outputsOf({ op, specs, supplied, memory }: Results): Record<string, ArrayView | undefined> {
  const outputs: Record<string, ArrayView | undefined> = {};
  try {
    for (const name in specs) {
      const spec = specs[name];
      const view = supplied[name];
      if (spec && !view && op.accumulates?.includes(name)) continue; // an output that nobody wants
      outputs[name] = spec && (view ?? memory.allocate(spec.dtype, spec.shape));
    }
  } catch (error) {
    releaseAllocated(outputs, supplied, memory);
    throw error;
  }
  return outputs;
}

function refuseOutput(
  where: string,
  name: string,
  { view, spec }: { readonly view: ArrayView; readonly spec: ArraySpec },
): never {
  throw new QdyloraError('BAD_SHAPE', {
    where,
    problem:
      `the output ${name} must be ${spec.dtype} ${shapeText(spec.shape)}, but it is ` +
      `${view.dtype} ${shapeText(view.shape)}`,
  });
}

/** Refuses NaN and float types that the kernels do not know: each would interpret them in its own way. */
function assertAttributes(
  { name: where, acceptsNaN }: Pick<Op, 'name' | 'acceptsNaN'>,
  attributes: unknown,
  backend: Backend,
): void {
  if (typeof attributes !== 'object' || attributes === null)
    throw new QdyloraError('BAD_ARGUMENT', {
      where,
      problem: `the attributes must be an object (got ${String(attributes)})`,
      nextStep: 'For no attributes, use {}.',
    });
  const values = attributes as Readonly<Record<string, unknown>>;
  for (const name in values) {
    const value = values[name];
    if (value !== value && !acceptsNaN)
      throw new QdyloraError('BAD_ARGUMENT', { where, problem: `${name} must be a number, but it is NaN` });
    if (typeof value !== 'string' || !name.endsWith('Dtype')) continue;
    if (!isFloatDType(value))
      throw new QdyloraError('BAD_ARGUMENT', {
        where,
        problem: `${name} must be ${FLOAT_DTYPES.join(' or ')}, but it is ${value}`,
      });
    assertFloatDtype(backend, where, name, value);
  }
}

/**
 * A kernel is found by the name of its op, which another op may have too. Two copies of one package in a
 * process have the same reference, and are the same op.
 */
function assertSameOp(ofKernel: Op, op: Op, backend: Backend): void {
  if (ofKernel.reference === op.reference || String(ofKernel.reference) === String(op.reference)) return;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: op.name,
    problem: `the backend ${backend.name} has a kernel for another op of this name`,
    nextStep: 'Give your op a name of its own, for example with a prefix.',
  });
}

function refuseUnknown(where: string, kind: 'input' | 'output', name: string, known: object): never {
  throw new QdyloraError('BAD_ARGUMENT', {
    where,
    problem: `there is no ${kind} ${name}; the ${kind}s are ${Object.keys(known).join(', ') || 'none'}`,
  });
}

function refuseMissing(where: string, output: string, reason: string): never {
  throw new QdyloraError('BAD_ARGUMENT', {
    where,
    problem: `the output ${output} is missing: ${reason}`,
    nextStep: 'Pass it in the last argument: runOp(backend, op, inputs, attributes, { … }).',
  });
}
