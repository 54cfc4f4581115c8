import {
  DTYPE_BYTES,
  elementCount,
  hostData,
  QdyloraError,
  reshaped,
  rowsOf,
  runOp,
  type ArrayView,
  type Backend,
  type DType,
  type Shape,
  type DataOf,
} from '@qdylora/contract';
import { fill, type Parameter } from '@qdylora/tensor';
import type { OptimizerLedger, SavedArray, SavedOptimizerState, StateArray } from './optimizer.ts';
import { openPagedStates, type PagedStates, type PagingOptions } from './paging/paged-states.ts';
import { planPages, type Page, type PagePlan } from './paging/plan-pages.ts';
import type { StateLayout, StateSpec } from './state-layout.ts';
import { rowsIn, type RowPart } from './rows-in.ts';
import { allocateSlabs, releaseSlabs, type Slabs } from './slabs.ts';
import type { Stretch } from './step-counter.ts';

type F32 = ArrayView<'f32'>;

/**
 * Some rows of a parameter with the arrays that an optimizer keeps for them, by kind; `step` counts their
 * updates.
 */
export interface StatePart {
  readonly parameter: Parameter;
  readonly weight: F32;
  readonly gradient: F32;
  readonly arrays: Readonly<Record<string, ArrayView>>;
  readonly step: number;
}

/**
 * The state of an optimizer: arrays for each parameter, named `<parameter>.<kind>`, in memory or on pages.
 */
export interface ParameterStates {
  /** Gradients, and state that is in memory. */
  readonly byteLength: number;
  prepare(backend: Backend): void;
  /** @throws QdyloraError BAD_ARGUMENT before `prepare`. */
  backend(): Backend;
  /**
   * Calls `visit` for the rows of each stretch, parameter by parameter and page by page; what it changes in
   * the arrays is kept. What is refused is refused before the first call.
   */
  update(stretches: readonly Stretch[], visit: (part: StatePart) => void): void;
  ledger(): OptimizerLedger;
  gradients(): readonly ArrayView<'f32'>[];
  resident(): readonly ArrayView<'f32'>[];
  arrays(): ReadonlyMap<string, StateArray>;
  load(arrays: SavedOptimizerState['arrays']): void;
  dispose(): void;
}

/** A page that is in memory for good has its arrays. */
interface HeldPage extends Page {
  readonly arrays: Readonly<Record<string, ArrayView>> | null;
}

/**
 * What there is after `prepare`: pages, what all of it lies in, and the arrays that hold all gradients, and
 * all resident states in float32.
 */
interface Held {
  readonly pages: readonly HeldPage[];
  readonly slabs: readonly Slabs<DType>[];
  readonly gradients: readonly F32[];
  readonly states: readonly F32[];
}
const NOTHING: Held = { pages: [], slabs: [], gradients: [], states: [] };

/**
 * @param paging under which budget, and where the rest goes; without it everything stays in memory
 * @throws QdyloraError BAD_ARGUMENT for no parameters, two of one name, or a budget below one page;
 * WRITE_FAILED (in `prepare`) where the disk has no room.
 */
export function parameterStates(
  parameters: readonly Parameter[],
  layoutOf: (parameter: Parameter) => StateLayout,
  paging?: PagingOptions,
): ParameterStates {
  checkNames(parameters);
  const layouts = parameters.map(layoutOf);
  const plan = planPages(layouts, paging?.budgetBytes ?? Infinity);
  let held: Held = NOTHING;
  let on: Backend | null = null;
  let paged: PagedStates | null = null;
  const backend = (): Backend => {
    if (on) return on;
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'optimizer',
      problem: 'expected prepare(backend) before the first step, got none',
      nextStep: 'trainStep and train call it.',
    });
  };
  /** Runs `body` with the page's arrays; `isChanged`: they are written back. */
  const withPage = (
    page: HeldPage,
    isChanged: boolean,
    body: (arrays: Readonly<Record<string, ArrayView>>) => void,
  ): void => (page.arrays ? body(page.arrays) : paged!.withPage(page, layouts[page.owner], isChanged, body));
  const release = (
    { memory }: Backend,
    trained: readonly Parameter[],
    slabs: readonly Slabs<DType>[],
  ): void => {
    for (const parameter of trained) parameter.freeze(memory);
    for (const own of slabs) releaseSlabs(memory, own);
    paged?.dispose();
    paged = null;
  };
  const arrays = (): Map<string, StateArray> => {
    const pagesOf: HeldPage[][] = parameters.map(() => []);
    for (const page of held.pages) pagesOf[page.owner].push(page);
    return new Map(
      parameters.flatMap(({ name }, owner) =>
        layouts[owner].arrays.map(
          (spec) =>
            [
              `${name}.${spec.kind}`,
              stateArray({
                backend: backend(),
                layout: layouts[owner],
                spec,
                pages: pagesOf[owner],
                withPage,
              }),
            ] as const,
        ),
      ),
    );
  };
  return {
    byteLength:
      parameters.reduce((sum, { view }) => sum + elementCount(view.shape) * DTYPE_BYTES.f32, 0) +
      plan.residentBytes,
    backend,
    arrays,
    prepare(next) {
      if (on === next) return;
      if (on)
        throw new QdyloraError('BAD_ARGUMENT', {
          where: 'optimizer',
          problem: `expected the backend that it began on (${on.name}), got ${next.name}`,
        });
      parameters.forEach(assertFloat32);
      const frozen = parameters.filter(({ needsGradient }) => !needsGradient);
      const made: Slabs<DType>[] = [];
      try {
        paged = plan.fileBytes > 0 ? openPagedStates(next, plan, paging!) : null;
        held = holdAll(next, { parameters, layouts, plan }, made);
      } catch (error) {
        // all or nothing: a caller may free memory and try again
        release(next, frozen, made);
        throw error;
      }
      on = next;
    },
    update(stretches, visit) {
      const work = held.pages
        .map((page) => ({
          page,
          parts: stretches.flatMap((stretch) =>
            rowsIn(page, stretch, parameters[page.owner], layouts[page.owner]),
          ),
        }))
        .filter(({ parts }) => parts.length > 0);
      for (const { page, parts } of work)
        updatePage(page, parts, {
          parameter: parameters[page.owner],
          layout: layouts[page.owner],
          visit,
          withPage,
        });
    },
    ledger: () => ({
      residentBytes: on ? plan.residentBytes : 0,
      pagedBytes: on ? plan.pagedBytes : 0,
      pageIns: paged?.pageIns ?? 0,
      waitSeconds: paged?.waitSeconds ?? 0,
    }),
    gradients: () => held.gradients,
    resident: () => held.states,
    load(saved) {
      const own = arrays();
      for (const [name, array] of own) checkSaved(name, array, saved.get(name));
      for (const [name, array] of own) array.write(saved.get(name)!.read() as never);
    },
    dispose() {
      if (!on) return;
      release(on, parameters, held.slabs);
      [held, on] = [NOTHING, null];
    },
  };
}

type WithPage = (
  page: HeldPage,
  isChanged: boolean,
  body: (arrays: Readonly<Record<string, ArrayView>>) => void,
) => void;

interface PageUpdate {
  readonly parameter: Parameter;
  readonly layout: StateLayout;
  readonly visit: (part: StatePart) => void;
  readonly withPage: WithPage;
}

/** Brings a page in once and updates its parts. */
function updatePage(
  page: HeldPage,
  parts: readonly RowPart[],
  { parameter, layout, visit, withPage }: PageUpdate,
): void {
  const shape = [layout.rows, ...layout.row];
  const weight = reshaped(parameter.view as F32, shape);
  const gradient = reshaped(parameter.gradient!, shape);
  withPage(page, true, (arrays) => {
    for (const { from, to, step } of parts) {
      const own = Object.fromEntries(
        Object.entries(arrays).map(([kind, view]) => [
          kind,
          rowRange(view, { from: from - page.from, to: to - page.from }),
        ]),
      );
      visit({
        parameter,
        step,
        weight: rowRange(weight, { from, to }),
        gradient: rowRange(gradient, { from, to }),
        arrays: own,
      });
    }
  });
}

const rowRange = <D extends DType>(
  view: ArrayView<D>,
  { from, to }: Pick<RowPart, 'from' | 'to'>,
): ArrayView<D> => (from === 0 && to === view.shape[0] ? view : rowsOf(view, from, to));

/** Makes room for gradients and resident states. `made` gets each piece as soon as it is there. */
function holdAll(
  backend: Backend,
  {
    parameters,
    layouts,
    plan,
  }: {
    readonly parameters: readonly Parameter[];
    readonly layouts: readonly StateLayout[];
    readonly plan: PagePlan;
  },
  made: Slabs<DType>[],
): Held {
  const room = <D extends DType>(dtype: D, shapes: readonly Shape[]): Slabs<D> => {
    const slabs = allocateSlabs(backend.memory, dtype, shapes);
    made.push(slabs);
    return slabs;
  };
  const own = parameters.filter(({ gradient }) => gradient).map(({ gradient }) => gradient!);
  const frozen = parameters.filter(({ gradient }) => !gradient);
  const gradients = room(
    'f32',
    frozen.map(({ view }) => view.shape),
  );
  frozen.forEach((parameter, i) => {
    parameter.makeTrainable(backend.memory, gradients.arrays[i]);
  });
  const specs = plan.pages.flatMap((page) =>
    page.offset === null
      ? layouts[page.owner].arrays.map((spec) => ({ ...spec, rows: page.to - page.from }))
      : [],
  );
  const ofType = <D extends StateSpec['dtype']>(dtype: D): Slabs<D> =>
    zeros(
      backend,
      room(
        dtype,
        specs.filter((spec) => spec.dtype === dtype).map(({ rows, row }) => [rows, ...row]),
      ),
    );
  const floats = ofType('f32');
  const codes = ofType('u8');
  const next = { f32: floats.arrays.values(), u8: codes.arrays.values() };
  const arraysOf = ({ owner }: Page): HeldPage['arrays'] =>
    Object.fromEntries(layouts[owner].arrays.map(({ kind, dtype }) => [kind, next[dtype].next().value!]));
  return {
    pages: plan.pages.map((page) => ({ ...page, arrays: page.offset === null ? arraysOf(page) : null })),
    slabs: made,
    gradients: [...gradients.slabs, ...own],
    states: floats.slabs,
  };
}

/** Zero bytes are a state of zeros, in 8 bits too: every scale is 0. */
function zeros<D extends DType>(backend: Backend, slabs: Slabs<D>): Slabs<D> {
  for (const slab of slabs.slabs) {
    if (slab.dtype === 'f32')
      runOp(backend, fill, {}, { value: 0, shape: slab.shape }, { y: slab as unknown as F32 });
    else
      backend.memory.fill(slab, (values) => {
        values.fill(0);
      });
  }
  return slabs;
}

interface StateArrayParts {
  readonly backend: Backend;
  readonly layout: StateLayout;
  readonly spec: StateSpec;
  readonly pages: readonly HeldPage[];
  readonly withPage: WithPage;
}

/** One array of one parameter over all of its pages. */
function stateArray({
  backend,
  layout,
  spec: { kind, dtype, row },
  pages,
  withPage,
}: StateArrayParts): StateArray {
  const { memory } = backend;
  const shape = [layout.rows, ...row];
  const rowElements = elementCount(row);
  const whole = pages.length === 1 ? pages[0].arrays?.[kind] : undefined;
  if (whole) return stateArrayOf(backend, whole);
  const gathered = (): Float32Array | Uint8Array => {
    const values = new (dtype === 'f32' ? Float32Array : Uint8Array)(layout.rows * rowElements);
    for (const page of pages)
      withPage(page, false, (arrays) => {
        values.set(hostData(arrays[kind]) as Float32Array, page.from * rowElements);
      });
    return values;
  };
  return {
    dtype,
    shape,
    peek: () => (memory.space.isHost ? gathered() : null),
    async read() {
      const values = new (dtype === 'f32' ? Float32Array : Uint8Array)(layout.rows * rowElements);
      for (const page of pages) {
        let numbers: Promise<DataOf[DType]> | undefined;
        withPage(page, false, (arrays) => {
          numbers = memory.read(arrays[kind]); // enqueued before the next page takes the slot
        });
        values.set((await numbers!) as Float32Array, page.from * rowElements);
      }
      return values;
    },
    write(values) {
      for (const page of pages)
        withPage(page, true, (arrays) => {
          memory.write(
            arrays[kind],
            (values as Float32Array).subarray(page.from * rowElements, page.to * rowElements),
          );
        });
    },
  };
}

/** A view in a backend's memory as a state array. */
export const stateArrayOf = <D extends DType>({ memory }: Backend, view: ArrayView<D>): StateArray<D> => ({
  dtype: view.dtype,
  shape: view.shape,
  peek: () => (memory.space.isHost ? hostData(view) : null),
  read: () => memory.read(view),
  write: (values) => {
    memory.write(view, values);
  },
});

function checkNames(parameters: readonly Parameter[]): void {
  const seen = new Set<string>();
  for (const { name } of parameters) {
    if (seen.has(name))
      throw new QdyloraError('BAD_ARGUMENT', {
        where: 'optimizer',
        problem: `expected every parameter once, got ${name} twice`,
      });
    seen.add(name);
  }
  if (seen.size === 0)
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'optimizer',
      problem: 'expected at least one parameter to train, got none',
    });
}

function assertFloat32({ name, view }: Parameter): void {
  if (view.dtype === 'f32') return;
  throw new QdyloraError('UNSUPPORTED', {
    where: 'optimizer',
    problem: `expected float32 for the trained parameter ${name}, got ${view.dtype}`,
    nextStep: 'Load the model in float32, or train adapters.',
    details: { name, dtype: view.dtype },
  });
}

/** @throws QdyloraError BAD_RESUME where a saved array is missing, or of another size or dtype. */
export function checkSaved(name: string, { dtype, shape }: StateArray, saved: SavedArray | undefined): void {
  const expected = elementCount(shape);
  if (saved?.length === expected && saved.dtype === dtype) return;
  throw new QdyloraError('BAD_RESUME', {
    where: 'resume',
    problem:
      `expected ${expected} numbers (${dtype}) for ${name}, got ` +
      `${saved ? `${saved.length} (${saved.dtype})` : 'none'}`,
    nextStep: 'Resume with the model, ranks, target_modules and optimizer of the first run.',
    details: { name, expected, got: saved?.length },
  });
}
