import { runOp, type ArrayView, type Backend, type DType, type Shape } from '@qdylora/contract';
import { fill, type Parameter } from '@qdylora/tensor';
import type { Page, PagePlan } from '../paging/plan-pages.ts';
import type { StateLayout, StateSpec } from './state-layout.ts';
import { allocateSlabs, type Slabs } from './slabs.ts';

type F32 = ArrayView<'f32'>;

/** Arrays of one page, by kind. */
export type PageArrays = Readonly<Record<string, ArrayView>>;

/** A page with its arrays if it stays in memory; null if it is paged. */
export interface StatePage extends Page {
  readonly arrays: PageArrays | null;
}

/** Runs `body` with the arrays of a page. `isChanged`: they are written back. */
export type WithPage = (page: StatePage, isChanged: boolean, body: (arrays: PageArrays) => void) => void;

/** The arrays that `prepareStates` has allocated. */
export interface PreparedStates {
  readonly pages: readonly StatePage[];
  /** The memory of all gradients and resident states. */
  readonly slabs: readonly Slabs<DType>[];
  /** Arrays that together contain all gradients. */
  readonly gradients: readonly F32[];
  /** Arrays that together contain all resident float32 states. */
  readonly states: readonly F32[];
}

export interface StatePlan {
  readonly parameters: readonly Parameter[];
  readonly layouts: readonly StateLayout[];
  readonly plan: PagePlan;
}

/**
 * Allocates gradients and resident states, and fills states with 0.
 *
 * @param allocated gets each slab as soon as it is allocated, so that the caller can free them after an error
 */
export function prepareStates(
  backend: Backend,
  { parameters, layouts, plan }: StatePlan,
  allocated: Slabs<DType>[],
): PreparedStates {
  const allocate = <D extends DType>(dtype: D, shapes: readonly Shape[]): Slabs<D> => {
    const slabs = allocateSlabs(backend.memory, dtype, shapes);
    allocated.push(slabs);
    return slabs;
  };
  const presentGradients = parameters.flatMap(({ gradient }) => gradient ?? []);
  const frozen = parameters.filter(({ gradient }) => !gradient);
  const gradients = allocate(
    'f32',
    frozen.map(({ view }) => view.shape),
  );
  frozen.forEach((parameter, i) => {
    parameter.makeTrainable(backend.memory, gradients.arrays[i]);
  });
  const specs = residentSpecs(plan, layouts);
  const zerosOf = <D extends StateSpec['dtype']>(dtype: D): Slabs<D> =>
    fillWithZeros(
      backend,
      allocate(
        dtype,
        specs.filter((spec) => spec.dtype === dtype).map(({ rows, row }) => [rows, ...row]),
      ),
    );
  const floats = zerosOf('f32');
  const codes = zerosOf('u8');
  const next = { f32: floats.arrays.values(), u8: codes.arrays.values() };
  const arraysOf = ({ owner }: Page): PageArrays =>
    Object.fromEntries(layouts[owner].arrays.map(({ kind, dtype }) => [kind, next[dtype].next().value!]));
  return {
    pages: plan.pages.map((page) => ({ ...page, arrays: isResident(page) ? arraysOf(page) : null })),
    slabs: allocated,
    gradients: [...gradients.slabs, ...presentGradients],
    states: floats.slabs,
  };
}

const isResident = (page: Page): boolean => page.offset === null;

/** The arrays of all resident pages, in the order of pages. */
const residentSpecs = (
  { pages }: PagePlan,
  layouts: readonly StateLayout[],
): (StateSpec & { readonly rows: number })[] =>
  pages
    .filter(isResident)
    .flatMap((page) => layouts[page.owner].arrays.map((spec) => ({ ...spec, rows: page.to - page.from })));

/** Zero bytes are a state of zeros, in 8 bits as well: every scale is 0. */
function fillWithZeros<D extends DType>(backend: Backend, slabs: Slabs<D>): Slabs<D> {
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
