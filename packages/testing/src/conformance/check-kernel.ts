import {
  hostData,
  createHostBackend,
  elementCount,
  runOp,
  shapeText,
  viewOf,
  type Arrays,
  type ArrayView,
  type Backend,
  type Op,
} from '@qdylora/contract';
import { describeBitDifference, describeDifference } from './compare.ts';
import type { Bound } from './tolerance.ts';

/**
 * Backends that must give equal bits among themselves (one level at several thread counts), and its name for
 * messages.
 */
export interface BackendGroup {
  readonly label: string;
  readonly backends: readonly Backend[];
}

export interface KernelCase<I, O, A> {
  readonly inputs: I;
  readonly attributes: A;
  /** Accumulated outputs as they stand before the call. */
  readonly given?: Partial<O>;
  readonly bound: Bound;
}

/**
 * Runs one case on every backend and on the reference, and throws with op, shapes, worst index, got and want
 * where they disagree.
 * Also throws where a backend falls back to the reference, where an input changed, or where the backends of a
 * group differ in a bit.
 */
export function checkKernel<I extends Arrays, O extends Arrays, A>(
  op: Op<I, O, A>,
  groups: readonly BackendGroup[],
  { inputs, attributes, given = {}, bound }: KernelCase<I, O, A>,
): void {
  const want = runOp(createHostBackend(), op, inputs, attributes, copies(given as Arrays) as Partial<O>);
  const where = `${op.name} (${Object.entries(inputs)
    .filter(([, view]) => view)
    .map(([name, view]) => `${name} ${view!.dtype} ${shapeText(view!.shape)}`)
    .join(', ')}; ${JSON.stringify(attributes)})`;
  for (const { label, backends } of groups) {
    let first: O | undefined;
    for (const backend of backends) {
      if (!backend.kernel(op.name)) throw new Error(`${where} on ${label}: the backend has no kernel`);
      const { outputs: got, inputs: after } = runOnce(backend, op, inputs, attributes, given);
      for (const name of Object.keys(want)) {
        const g = got[name];
        const w = want[name];
        if (!g !== !w) throw new Error(`${where} on ${label}: output ${name} is ${g ? 'made' : 'missing'}`);
        if (!g || !w) continue;
        const problem =
          describeDifference(`${where} on ${label}`, g, w, bound, name) ??
          (first &&
            describeBitDifference(
              `${where} on ${label} with another number of threads`,
              g,
              first[name]!,
              name,
            ));
        if (problem) throw new Error(problem);
      }
      for (const [name, view] of Object.entries(inputs)) {
        const problem =
          view &&
          describeBitDifference(`${where} on ${label}: an input was written`, after[name]!, view, name);
        if (problem) throw new Error(problem);
      }
      first ??= got;
    }
  }
}

/** The op on the backend's own memory: its outputs, and its inputs as the call left them. */
function runOnce<I extends Arrays, O extends Arrays, A>(
  backend: Backend,
  op: Op<I, O, A>,
  inputs: I,
  attributes: A,
  given: Partial<O>,
): { outputs: O; inputs: I } {
  return backend.memory.scoped(() => {
    const place = <T extends Arrays>(arrays: T): T =>
      Object.fromEntries(
        Object.entries(arrays).map(([name, view]) => {
          if (!view) return [name, view];
          const own = backend.memory.allocate(view.dtype, view.shape);
          backend.memory.write(own, hostData(view) as ArrayLike<number>);
          return [name, own];
        }),
      ) as T;
    const placed = place(inputs);
    const outputs = runOp(backend, op, placed, attributes, place(given as Arrays) as Partial<O>);
    return { outputs: copies(outputs as Arrays) as O, inputs: copies(placed) };
  });
}

/** The same arrays in plain memory of their own. */
const copies = <T extends Arrays>(arrays: T): T =>
  Object.fromEntries(
    Object.entries(arrays).map(([name, view]) => [
      name,
      view &&
        viewOf(
          view.dtype,
          view.shape,
          hostData(view as ArrayView).slice(0, elementCount(view.shape)) as never,
        ),
    ]),
  ) as T;
