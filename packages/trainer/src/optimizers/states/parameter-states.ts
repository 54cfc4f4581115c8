import {
  DTYPE_BYTES,
  elementCount,
  QdyloraError,
  reshaped,
  rowsOf,
  type ArrayView,
  type Backend,
  type DType,
} from '@qdylora/contract';
import type { Parameter } from '@qdylora/tensor';
import type { OptimizerLedger, SavedOptimizerState, StateArray } from '../optimizer.ts';
import {
  openPagedStates,
  slotCountOf,
  type PagedStates,
  type PagingOptions,
} from '../paging/paged-states.ts';
import { planPages } from '../paging/plan-pages.ts';
import {
  prepareStates,
  type PreparedStates,
  type StatePage,
  type StatePlan,
  type WithPage,
} from './prepare-states.ts';
import { rowsIn } from './rows-in.ts';
import { releaseSlabs, type Slabs } from './slabs.ts';
import { checkSaved, stateArrayOfPages } from './state-array.ts';
import type { StateLayout } from './state-layout.ts';
import {
  differentFactors,
  ratedRanges,
  UNIFORM_RATES,
  type RatedRange,
  type RowFactors,
  type RowRates,
} from '../row-rates.ts';
import type { CountedRange } from '../step-counter.ts';

type F32 = ArrayView<'f32'>;

/** Some rows of a parameter with their state arrays by kind. `step`: their update count. */
export interface StatePart extends RowFactors {
  readonly parameter: Parameter;
  readonly weight: F32;
  readonly gradient: F32;
  readonly arrays: Readonly<Record<string, ArrayView>>;
  readonly step: number;
}

export interface StateOptions {
  /** The budget of resident states, and the place of the rest. Without it everything stays in memory. */
  readonly paging?: PagingOptions;
  /** Factors on the learning rate by row; 1 by default. */
  readonly rowRates?: RowRates;
}

/**
 * The state of an optimizer: arrays for each parameter, named `<parameter>.<kind>`, in memory or on pages.
 */
export interface ParameterStates {
  /** Bytes of gradients and resident state. */
  readonly byteLength: number;
  /** The different factors on the learning rate. */
  readonly factors: readonly RowFactors[];
  prepare(backend: Backend): void;
  /** @throws QdyloraError BAD_ARGUMENT before `prepare`. */
  backend(): Backend;
  /**
   * Calls `visit` for each parameter, page and range of rows; ranges are split where row factors change.
   * Changes to the arrays are kept. Invalid input is refused before the first call.
   */
  update(ranges: readonly CountedRange[], visit: (part: StatePart) => void): void;
  ledger(): OptimizerLedger;
  gradients(): readonly ArrayView<'f32'>[];
  resident(): readonly ArrayView<'f32'>[];
  arrays(): ReadonlyMap<string, StateArray>;
  load(arrays: SavedOptimizerState['arrays']): void;
  dispose(): void;
}

/**
 * @throws QdyloraError BAD_ARGUMENT for no parameters, two of one name, or a budget below one page;
 * WRITE_FAILED (in `prepare`) if the disk has no room.
 */
export function parameterStates(
  parameters: readonly Parameter[],
  layoutOf: (parameter: Parameter) => StateLayout,
  { paging, rowRates = UNIFORM_RATES }: StateOptions = {},
): ParameterStates {
  checkNames(parameters);
  const factors = differentFactors(parameters, rowRates);
  const layouts = parameters.map(layoutOf);
  const plan = planPages(layouts, paging?.budgetBytes ?? Infinity, paging && slotCountOf(paging));
  let current: AllocatedStates | null = null;
  const backend = (): Backend => current?.backend ?? refuseUnprepared();
  const withPage: WithPage = (page, isChanged, body) => {
    if (page.arrays) body(page.arrays);
    else current!.paged!.withPage(page, { layout: layouts[page.owner], isChanged }, body);
  };
  const prefetch = (page: StatePage): void => {
    if (!page.arrays) current!.paged!.prefetch(page, layouts[page.owner]);
  };
  const access = { parameters, layouts, withPage, prefetch };
  const arrays = (): Map<string, StateArray> =>
    stateArrays({ backend: backend(), pages: current!.prepared.pages, ...access });
  return {
    byteLength: gradientBytes(parameters) + plan.residentBytes,
    factors,
    backend,
    arrays,
    prepare(next) {
      if (current?.backend === next) return;
      if (current) refuseSecondBackend(current.backend, next);
      parameters.forEach(assertFloat32);
      current = allocateStates(next, { parameters, layouts, plan }, paging);
    },
    update(ranges, visit) {
      const rangesOf = (parameter: Parameter): readonly RatedRange[] =>
        ratedRanges(ranges, rowRates(parameter));
      updatePages(current?.prepared.pages ?? [], rangesOf, { ...access, visit });
    },
    ledger: () => ({
      residentBytes: current ? plan.residentBytes : 0,
      pagedBytes: current ? plan.pagedBytes : 0,
      pageIns: current?.paged?.pageIns ?? 0,
      waitSeconds: current?.paged?.waitSeconds ?? 0,
    }),
    gradients: () => current?.prepared.gradients ?? [],
    resident: () => current?.prepared.states ?? [],
    load(saved) {
      const targets = arrays();
      for (const [name, array] of targets) checkSaved(name, array, saved.get(name));
      for (const [name, array] of targets) array.write(saved.get(name)!.read() as never);
    },
    dispose() {
      if (current) releaseStates(current.backend, parameters, current.prepared.slabs, current.paged);
      current = null;
    },
  };
}

/** What `prepare` has allocated, and on which backend. */
interface AllocatedStates {
  readonly backend: Backend;
  readonly prepared: PreparedStates;
  readonly paged: PagedStates | null;
}

/** Allocates all or, after an error, nothing: the caller may free memory and try again. */
function allocateStates(
  backend: Backend,
  states: StatePlan,
  paging: PagingOptions | undefined,
): AllocatedStates {
  const frozen = states.parameters.filter(({ needsGradient }) => !needsGradient);
  const allocated: Slabs<DType>[] = [];
  let paged: PagedStates | null = null;
  try {
    if (states.plan.fileBytes > 0) paged = openPagedStates(backend, states.plan, paging!);
    return { backend, prepared: prepareStates(backend, states, allocated), paged };
  } catch (error) {
    releaseStates(backend, frozen, allocated, paged);
    throw error;
  }
}

function releaseStates(
  { memory }: Backend,
  trained: readonly Parameter[],
  slabs: readonly Slabs<DType>[],
  paged: PagedStates | null,
): void {
  for (const parameter of trained) parameter.freeze(memory);
  for (const slab of slabs) releaseSlabs(memory, slab);
  paged?.dispose();
}

const gradientBytes = (parameters: readonly Parameter[]): number =>
  parameters.reduce((sum, { view }) => sum + elementCount(view.shape) * DTYPE_BYTES.f32, 0);

interface StateArraysParts {
  readonly backend: Backend;
  readonly parameters: readonly Parameter[];
  readonly layouts: readonly StateLayout[];
  readonly pages: readonly StatePage[];
  readonly withPage: WithPage;
}

/** All state arrays, by name. */
function stateArrays({
  backend,
  parameters,
  layouts,
  pages,
  withPage,
}: StateArraysParts): Map<string, StateArray> {
  const pagesOf: StatePage[][] = parameters.map(() => []);
  for (const page of pages) pagesOf[page.owner].push(page);
  return new Map(
    parameters.flatMap(({ name }, owner) => {
      const layout = layouts[owner];
      return layout.arrays.map(
        (spec) =>
          [
            `${name}.${spec.kind}`,
            stateArrayOfPages({ backend, layout, spec, pages: pagesOf[owner], withPage }),
          ] as const,
      );
    }),
  );
}

/** The rows of a parameter that an update changes. */
type RangesOf = (parameter: Parameter) => readonly RatedRange[];

interface PagesUpdate {
  readonly parameters: readonly Parameter[];
  readonly layouts: readonly StateLayout[];
  readonly visit: (part: StatePart) => void;
  readonly withPage: WithPage;
  readonly prefetch: (page: StatePage) => void;
}

/** Finds the rows of all ranges first, so that invalid input is refused before the first visit. */
function updatePages(
  pages: readonly StatePage[],
  rangesOf: RangesOf,
  { parameters, layouts, visit, withPage, prefetch }: PagesUpdate,
): void {
  const work = pages
    .map((page) => ({
      page,
      parts: rangesOf(parameters[page.owner]).flatMap((range) =>
        rowsIn(page, range, parameters[page.owner], layouts[page.owner]),
      ),
    }))
    .filter(({ parts }) => parts.length > 0);
  for (const [i, { page, parts }] of work.entries()) {
    // before the updates of this page are enqueued: the copies do not wait for them
    if (i + 1 < work.length) prefetch(work[i + 1].page);
    updatePage(page, parts, {
      parameter: parameters[page.owner],
      layout: layouts[page.owner],
      visit,
      withPage,
    });
  }
}

interface PageUpdate {
  readonly parameter: Parameter;
  readonly layout: StateLayout;
  readonly visit: (part: StatePart) => void;
  readonly withPage: WithPage;
}

/** Updates the parts of a page while it is in memory. */
function updatePage(
  page: StatePage,
  parts: readonly RatedRange[],
  { parameter, layout, visit, withPage }: PageUpdate,
): void {
  const shape = [layout.rows, ...layout.row];
  const weight = reshaped(parameter.view as F32, shape);
  const gradient = reshaped(parameter.gradient!, shape);
  withPage(page, true, (arrays) => {
    for (const { from, to, step, factor, wideFactor } of parts) {
      const rowArrays = Object.fromEntries(
        Object.entries(arrays).map(([kind, view]) => [
          kind,
          rowRange(view, { from: from - page.from, to: to - page.from }),
        ]),
      );
      visit({
        parameter,
        step,
        factor,
        wideFactor,
        weight: rowRange(weight, { from, to }),
        gradient: rowRange(gradient, { from, to }),
        arrays: rowArrays,
      });
    }
  });
}

const rowRange = <D extends DType>(
  view: ArrayView<D>,
  { from, to }: Pick<RatedRange, 'from' | 'to'>,
): ArrayView<D> => (from === 0 && to === view.shape[0] ? view : rowsOf(view, from, to));

function checkNames(parameters: readonly Parameter[]): void {
  const names = new Set<string>();
  for (const { name } of parameters) {
    if (names.has(name))
      throw new QdyloraError('BAD_ARGUMENT', {
        where: 'optimizer',
        problem: `Each parameter must be there once, but ${name} is there twice`,
      });
    names.add(name);
  }
  if (names.size === 0)
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'optimizer',
      problem: 'There are no parameters to train',
    });
}

function assertFloat32({ name, view }: Parameter): void {
  if (view.dtype === 'f32') return;
  throw new QdyloraError('UNSUPPORTED', {
    where: 'optimizer',
    problem: `The trained parameter ${name} must be float32, but it is ${view.dtype}`,
    nextStep: 'Load the model in float32, or train adapters.',
    details: { name, dtype: view.dtype },
  });
}

function refuseUnprepared(): never {
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'optimizer',
    problem: 'The optimizer has no memory yet',
    nextStep: 'Call prepare(backend) before the first step; trainStep and train do so.',
  });
}

function refuseSecondBackend(first: Backend, second: Backend): never {
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'optimizer',
    problem: `The optimizer's states lie on the backend ${first.name}, so it cannot step on ${second.name}`,
    nextStep: 'Call dispose() first, or make another optimizer.',
  });
}
