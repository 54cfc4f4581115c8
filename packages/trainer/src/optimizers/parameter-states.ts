import { DTYPE_BYTES, elementCount, elementsOf, QdyloraError, rowsOf, runOp, type ArrayView, type Backend, type DType } from '@qdylora/contract';
import { fill, type Parameter } from '@qdylora/tensor';
import type { SavedArray, SavedOptimizerState, StateArray } from './optimizer.ts';
import type { Stretch } from './step-counter.ts';

type F32 = ArrayView<'f32'>;

/** A parameter with the float32 arrays that an optimizer keeps for it, each of the parameter's shape. */
export interface ParameterState { readonly parameter: Parameter; readonly arrays: Readonly<Record<string, F32>> }

/** The float32 state of an optimizer: `kinds` (`m`, `v`) of arrays for each parameter, named `<parameter>.<kind>`. */
export interface ParameterStates {
  readonly byteLength: number;
  prepare(backend: Backend): void;
  /** @throws QdyloraError BAD_ARGUMENT before `prepare`. */
  backend(): Backend;
  all(): readonly ParameterState[];
  arrays(): ReadonlyMap<string, StateArray>;
  load(arrays: SavedOptimizerState['arrays']): void;
  dispose(): void;
}

/** @throws QdyloraError BAD_ARGUMENT for no parameters, or two of one name. */
export function parameterStates(parameters: readonly Parameter[], kinds: readonly string[]): ParameterStates {
  checkNames(parameters);
  let states: readonly ParameterState[] = [], on: Backend | null = null;
  const backend = (): Backend => {
    if (on) return on;
    throw new QdyloraError('BAD_ARGUMENT', { where: 'optimizer', problem: 'expected prepare(backend) before the first step, got none', nextStep: 'trainStep and train call it.' });
  };
  const arrays = (): Map<string, StateArray> => new Map(states.flatMap(({ parameter, arrays: own }) =>
    Object.entries(own).map(([kind, view]) => [`${parameter.name}.${kind}`, stateArrayOf(backend(), view)] as const)));
  return {
    byteLength: parameters.reduce((sum, { view }) => sum + elementCount(view.shape) * DTYPE_BYTES.f32, 0) * (kinds.length + 1),
    backend, arrays, all: () => states,
    prepare(next) {
      if (on === next) return;
      if (on) throw new QdyloraError('BAD_ARGUMENT', { where: 'optimizer', problem: `expected the backend that it began on (${on.name}), got ${next.name}` });
      parameters.forEach(assertFloat32);
      states = parameters.map((parameter) => {
        parameter.makeTrainable(next.memory);
        return { parameter, arrays: Object.fromEntries(kinds.map((kind) => [kind, zeros(next, parameter)])) };
      });
      on = next;
    },
    load(saved) {
      const own = arrays();
      for (const [name, array] of own) checkSaved(name, array, saved.get(name));
      for (const [name, array] of own) array.write(saved.get(name)!.read() as never);
    },
    dispose() {
      for (const { parameter, arrays: own } of states) {
        parameter.freeze(on!.memory);
        for (const view of Object.values(own)) on!.memory.release(view);
      }
      states = [];
      on = null;
    },
  };
}

/** The rows of a stretch, or undefined where a smaller parameter has none of them. */
export function partOf(view: F32, { from, to }: Stretch): F32 | undefined {
  const rows = view.shape[0]!;
  if (from >= rows) return undefined;
  return from === 0 && to >= rows ? view : rowsOf(view, from, Math.min(to, rows));
}

function zeros(backend: Backend, { view: { shape } }: Parameter): F32 {
  const view = backend.memory.allocate('f32', shape);
  backend.memory.persist(view);
  runOp(backend, fill, {}, { value: 0, shape }, { y: view });
  return view;
}

/** A view in a backend's memory as a state array. */
export const stateArrayOf = <D extends DType>({ memory }: Backend, view: ArrayView<D>): StateArray<D> => ({
  dtype: view.dtype, shape: view.shape, peek: () => (memory.isHost ? elementsOf(view) : null), read: () => memory.read(view), write: (values) => { memory.write(view, values); },
});

function checkNames(parameters: readonly Parameter[]): void {
  const seen = new Set<string>();
  for (const { name } of parameters) {
    if (seen.has(name)) throw new QdyloraError('BAD_ARGUMENT', { where: 'optimizer', problem: `expected every parameter once, got ${name} twice` });
    seen.add(name);
  }
  if (seen.size === 0) throw new QdyloraError('BAD_ARGUMENT', { where: 'optimizer', problem: 'expected at least one parameter to train, got none' });
}

function assertFloat32({ name, view }: Parameter): void {
  if (view.dtype === 'f32') return;
  throw new QdyloraError('UNSUPPORTED', { where: 'optimizer', problem: `expected float32 for the trained parameter ${name}, got ${view.dtype}`, nextStep: 'Load the model in float32, or train adapters.', details: { name, dtype: view.dtype } });
}

/** @throws QdyloraError BAD_RESUME where a saved array is missing, or of another size or dtype. */
export function checkSaved(name: string, { dtype, shape }: StateArray, saved: SavedArray | undefined): void {
  const expected = elementCount(shape);
  if (saved?.length === expected && saved.dtype === dtype) return;
  throw new QdyloraError('BAD_RESUME', {
    where: 'resume', problem: `expected ${expected} numbers (${dtype}) for ${name}, got ${saved ? `${saved.length} (${saved.dtype})` : 'none'}`,
    nextStep: 'Resume with the model, ranks, target_modules and optimizer of the first run.', details: { name, expected, got: saved?.length },
  });
}
