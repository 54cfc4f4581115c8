import {
  createHostBackend,
  hostData,
  runOp,
  shapeText,
  viewOf,
  type Arrays,
  type ArrayView,
  type Backend,
  type Memory,
  type Op,
} from '@qdylora/contract';
import { describeBitDifference, describeDifference } from './compare.ts';
import type { Capability, KernelCall } from './conformance-case.ts';

/** Backends that must give equal bits among themselves, for example one level at several thread counts. */
export interface BackendGroup {
  /** Its name in messages. */
  readonly label: string;
  readonly backends: readonly Backend[];
  /** Cases that need one of these are not for this group. */
  readonly lacks?: readonly Capability[];
  /** Set for backends without kernels, which run the references themselves. */
  readonly mayFallBack?: boolean;
}

/**
 * Runs one call on every backend and on the reference. Operands are placed with `memory.write` and results
 * are read with `memory.read`, so backends may keep their arrays on a device.
 *
 * @throws Error with op, shapes, worst index and both values where outputs differ by more than the bound,
 * where a backend has no kernel, where an input was written, or where the backends of a group differ in a bit
 */
export async function checkKernel<I extends Arrays, O extends Arrays, A>(
  op: Op<I, O, A>,
  groups: readonly BackendGroup[],
  call: KernelCall<I, O, A>,
): Promise<void> {
  const { inputs, attributes, suppliedOutputs = {} } = call;
  const expected = runOp(
    createHostBackend(),
    op,
    inputs,
    attributes,
    copiesOf(suppliedOutputs as Arrays) as Partial<O>,
  );
  const operands = Object.entries(inputs)
    .filter(([, view]) => view)
    .map(([name, view]) => `${name} ${view!.dtype} ${shapeText(view!.shape)}`);
  const callText = `${op.name} (${operands.join(', ')}; ${JSON.stringify(attributes)})`;
  for (const { label, backends, mayFallBack = false } of groups) {
    const where = `${callText} on ${label}`;
    let first: O | undefined;
    for (const backend of backends) {
      if (!mayFallBack && !backend.kernel(op.name)) throw new Error(`${where}: the backend has no kernel`);
      const { outputs, inputs: inputsAfter } = await runOnce(backend, op, call);
      const problem =
        outputProblem(where, outputs, expected, call) ??
        (first && bitProblem(`${where} with another number of threads`, outputs, first)) ??
        bitProblem(`${where}: an input was written`, inputsAfter, inputs);
      if (problem) throw new Error(problem);
      first ??= outputs;
    }
  }
}

/** The first output beyond its bound, in words; null where there is none. */
function outputProblem<I, O extends Arrays, A>(
  where: string,
  outputs: O,
  expected: O,
  { bound, problemOf }: KernelCall<I, O, A>,
): string | null {
  for (const name of Object.keys(expected)) {
    const [got, want] = [outputs[name], expected[name]];
    if (!got !== !want) return `${where}: output ${name} is ${got ? 'made' : 'missing'}`;
    if (problemOf || !got || !want) continue;
    const problem = describeDifference(where, { name, got, want }, bound);
    if (problem) return problem;
  }
  const problem = problemOf?.(outputs, expected);
  return problem ? `${where}: ${problem}` : null;
}

/** The first element whose bits differ from those of the same array in `want`, in words. */
function bitProblem(where: string, got: Arrays, want: Arrays): string | null {
  for (const [name, view] of Object.entries(want)) {
    const problem = view && describeBitDifference(where, { name, got: got[name]!, want: view });
    if (problem) return problem;
  }
  return null;
}

/** The op on the backend's own memory: its outputs, and its inputs as the call left them, in host memory. */
async function runOnce<I extends Arrays, O extends Arrays, A>(
  backend: Backend,
  op: Op<I, O, A>,
  { inputs, attributes, suppliedOutputs = {} }: KernelCall<I, O, A>,
): Promise<{ outputs: O; inputs: I }> {
  const { memory } = backend;
  // Reads are enqueued before the scope ends and releases its arrays.
  const results = memory.scoped(() => {
    const placed = placedIn(memory, inputs);
    const outputs = runOp(
      backend,
      op,
      placed,
      attributes,
      placedIn(memory, suppliedOutputs as Arrays) as Partial<O>,
    );
    return { outputs: readFrom(memory, outputs), inputs: readFrom(memory, placed) };
  });
  return { outputs: await results.outputs, inputs: await results.inputs };
}

const placedIn = <T extends Arrays>(memory: Memory, arrays: T): T =>
  mapArrays(arrays, (view) => {
    const placed = memory.allocate(view.dtype, view.shape);
    memory.write(placed, hostData(view) as ArrayLike<number>);
    return placed;
  });

async function readFrom<T extends Arrays>(memory: Memory, arrays: T): Promise<T> {
  const reads = Object.entries(arrays).map(
    async ([name, view]) =>
      [name, view && viewOf(view.dtype, view.shape, (await memory.read(view)) as never)] as const,
  );
  return Object.fromEntries(await Promise.all(reads)) as T;
}

/** The same arrays in plain memory of their own. */
const copiesOf = <T extends Arrays>(arrays: T): T =>
  mapArrays(arrays, (view) => viewOf(view.dtype, view.shape, hostData(view).slice() as never));

const mapArrays = <T extends Arrays>(arrays: T, change: (view: ArrayView) => ArrayView): T =>
  Object.fromEntries(Object.entries(arrays).map(([name, view]) => [name, view && change(view)])) as T;
