import {
  partOf,
  hostData,
  QdyloraError,
  runOp,
  viewOf,
  type ArrayView,
  type Backend,
  type PageArrival,
  type PageStore,
} from '@qdylora/contract';
import { sumOfSquares } from '@qdylora/tensor';
import type { StateLayout } from '../states/state-layout.ts';
import { openPageFile, type PageFileOptions } from './page-file.ts';
import { slotKey, type Page, type PagePlan } from './plan-pages.ts';

/** How much optimizer state stays in memory, and where the rest of it is kept. */
export interface PagingOptions extends Pick<PageFileOptions, 'folder' | 'reserve'> {
  /** Bytes of optimizer state that may be in memory; gradients do not count. */
  readonly budgetBytes: number;
  /**
   * Opens the page store to use instead of a file in `folder`: beside a device or, for a plan, an empty one.
   */
  readonly open?: (byteLength: number) => PageStore;
  /**
   * Two pages are in memory at the same time: one moves while the other is updated. For stores beside a
   * device, whose copies do not block; false by default.
   */
  readonly isDoubleBuffered?: boolean;
}

/** Pages that are in memory at the same time. */
export const slotCountOf = ({ isDoubleBuffered = false }: PagingOptions): number =>
  isDoubleBuffered ? 2 : 1;

/** The pages that do not stay in memory, and the slots in which they take turns. */
export interface PagedStates {
  /** Pages brought in so far. */
  readonly pageIns: number;
  /** Time spent on reading and writing them so far. */
  readonly waitSeconds: number;
  /**
   * Starts reading the page that follows the current one. Call it right before `withPage` of the current
   * page. With one slot it does nothing.
   */
  prefetch(page: Page, layout: StateLayout): void;
  /** Reads a page into a slot and runs `body` on its arrays. `isChanged`: writes them back afterwards. */
  withPage(
    page: Page,
    options: { readonly layout: StateLayout; readonly isChanged: boolean },
    body: (arrays: Readonly<Record<string, ArrayView>>) => void,
  ): void;
  dispose(): void;
}

type Slot = ReadonlyMap<string, ArrayView<'f32' | 'u8'>>;

/** A page that is being read into a slot. */
interface IncomingPage {
  readonly page: Page;
  readonly slot: Slot;
  readonly arrival: PageArrival;
}

/**
 * Reserves the file first, then the slots.
 *
 * @throws QdyloraError WRITE_FAILED if the disk has no room; UNSUPPORTED on a backend that a file cannot be
 * read into.
 */
export function openPagedStates(
  backend: Backend,
  plan: PagePlan,
  { folder, reserve, open }: PagingOptions,
): PagedStates {
  const { memory } = backend;
  const openStore = open ?? backend.openPageStore;
  if (!openStore && !memory.space.isHost) refuseWithoutStore(backend);
  const store = openStore?.(plan.fileBytes) ?? openPageFile({ folder, byteLength: plan.fileBytes, reserve });
  const allocated: ArrayView[] = [];
  const dispose = (): void => {
    store.dispose();
    for (const view of allocated) memory.release(view);
  };
  let slots: readonly Slot[];
  try {
    slots = allocateSlots(memory, plan, allocated);
  } catch (error) {
    dispose();
    throw error;
  }
  // Pages of a file may come back damaged; those beside a device never leave memory.
  const assertNumbers = openStore ? null : finiteCheck(backend);
  let pageIns = 0;
  let waitSeconds = 0;
  const timed = <T>(move: () => T): T => {
    const start = performance.now();
    const result = move();
    waitSeconds += (performance.now() - start) / 1000;
    return result;
  };
  const turns = slotTurns(slots, ({ offset }, views) => {
    pageIns++;
    return timed(() => store.read(offset!, views));
  });
  return {
    get pageIns() {
      return pageIns;
    },
    get waitSeconds() {
      return waitSeconds;
    },
    prefetch: turns.prefetch,
    withPage(page, { layout, isChanged }, body) {
      const views = turns.take(page, layout);
      for (const [kind, view] of views) assertNumbers?.(view, kind);
      body(Object.fromEntries(views));
      const changed = views.map(([, view]) => view);
      if (isChanged)
        timed(() => {
          store.write(page.offset!, changed);
        });
    },
    dispose,
  };
}

/** @param allocated gets each array as soon as it is allocated */
function allocateSlots(
  memory: Backend['memory'],
  { slot, slotCount }: PagePlan,
  allocated: ArrayView[],
): readonly Slot[] {
  return Array.from({ length: slotCount }, () => {
    const arrays = new Map<string, ArrayView<'f32' | 'u8'>>();
    for (const [key, { dtype, elements }] of slot) {
      const view = memory.allocate(dtype, [elements]);
      memory.persist(view);
      allocated.push(view);
      arrays.set(key, view);
    }
    return arrays;
  });
}

/** Slots in which pages take turns. */
interface SlotTurns {
  prefetch(page: Page, layout: StateLayout): void;
  /** The arrays of the page, by kind, once it has arrived. */
  take(page: Page, layout: StateLayout): PageViews;
}

function slotTurns(
  slots: readonly Slot[],
  read: (page: Page, views: readonly ArrayView[]) => PageArrival,
): SlotTurns {
  let incoming: readonly IncomingPage[] = [];
  const bringIn = (page: Page, layout: StateLayout): IncomingPage => {
    // a prefetched page that was never taken gives up its slot; copies into a slot run in order
    if (incoming.length === slots.length) incoming = incoming.slice(1);
    const slot = slots.find((one) => incoming.every((other) => other.slot !== one))!;
    const views = viewsOf(slot, page, layout).map(([, view]) => view);
    return { page, slot, arrival: read(page, views) };
  };
  return {
    prefetch(page, layout) {
      const isComing = incoming.some((one) => one.page === page);
      if (slots.length > 1 && !isComing) incoming = [...incoming, bringIn(page, layout)];
    },
    take(page, layout) {
      const { slot, arrival } = incoming.find((one) => one.page === page) ?? bringIn(page, layout);
      incoming = incoming.filter((one) => one.page !== page);
      arrival.wait();
      return viewsOf(slot, page, layout);
    },
  };
}

type PageViews = readonly (readonly [kind: string, view: ArrayView])[];

/** The arrays of a page in a slot, by kind. */
const viewsOf = (slot: Slot, { from, to }: Page, { arrays }: StateLayout): PageViews =>
  arrays.map((spec) => [spec.kind, partOf(slot.get(slotKey(spec))!, 0, [to - from, ...spec.row])] as const);

/** A check that throws if a float array contains NaN or infinity. Its memory is allocated in advance. */
function finiteCheck(backend: Backend): (view: ArrayView, kind: string) => void {
  const squares = viewOf('f32', [1], new Float32Array(1));
  return (view, kind) => {
    if (view.dtype !== 'f32') return;
    runOp(backend, sumOfSquares, { x: view as ArrayView<'f32'> }, {}, { sum: squares });
    if (!Number.isFinite(hostData(squares)[0]) && !hostData(view).every(Number.isFinite))
      throw lostState(kind);
  };
}

function refuseWithoutStore({ name }: Backend): never {
  throw new QdyloraError('UNSUPPORTED', {
    where: 'optimizer',
    problem: `the backend ${name} has no room for pages of optimizer states`,
    nextStep: 'Choose an optimizer that is not paged.',
  });
}

const lostState = (kind: string): QdyloraError =>
  new QdyloraError('NON_FINITE', {
    where: 'optimizer',
    problem: `a page of optimizer state (${kind}) holds NaN or infinity`,
    nextStep: 'The state is lost. Resume from the last checkpoint.',
    details: { kind },
  });
