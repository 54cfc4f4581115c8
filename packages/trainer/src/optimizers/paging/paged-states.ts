import {
  partOf,
  hostData,
  QdyloraError,
  runOp,
  viewOf,
  type ArrayView,
  type Backend,
  type PageStore,
} from '@qdylora/contract';
import { sumOfSquares } from '@qdylora/tensor';
import type { StateLayout } from '../states/state-layout.ts';
import { openPageFile, type PageFileOptions } from './page-file.ts';
import { slotKey, type Page, type PagePlan } from './plan-pages.ts';

export interface PagingOptions extends Pick<PageFileOptions, 'folder' | 'reserve'> {
  /** Bytes of optimizer state that may be in memory; gradients do not count. */
  readonly budgetBytes: number;
  /** Where pages rest instead of a file in `folder`: beside a device, or, for a plan, nowhere. */
  readonly open?: (byteLength: number) => PageStore;
}

/** The pages that are not in memory for good, and the slot in which they take turns. */
export interface PagedStates {
  /** Pages brought in so far. */
  readonly pageIns: number;
  /** Time spent on reading and writing them so far. */
  readonly waitSeconds: number;
  /** Brings a page in, runs `body` on its arrays, and, where they changed, writes them back. */
  withPage(
    page: Page,
    layout: StateLayout,
    isChanged: boolean,
    body: (arrays: Readonly<Record<string, ArrayView>>) => void,
  ): void;
  dispose(): void;
}

/**
 * Reserves the file first, then the slot.
 *
 * @throws QdyloraError WRITE_FAILED where the disk has no room; UNSUPPORTED on a backend whose memory a file
 * cannot be read into.
 */
export function openPagedStates(
  backend: Backend,
  { fileBytes, slot }: PagePlan,
  { folder, reserve, open }: PagingOptions,
): PagedStates {
  const { memory } = backend;
  const openStore = open ?? backend.openPageStore;
  if (!openStore && !memory.space.isHost) refuseWithoutStore(backend);
  const store = openStore?.(fileBytes) ?? openPageFile({ folder, byteLength: fileBytes, reserve });
  const arrays = new Map<string, ArrayView<'f32' | 'u8'>>();
  const dispose = (): void => {
    store.dispose();
    for (const view of arrays.values()) memory.release(view);
  };
  try {
    for (const [key, { dtype, elements }] of slot) {
      const view = memory.allocate(dtype, [elements]);
      memory.persist(view);
      arrays.set(key, view);
    }
  } catch (error) {
    dispose();
    throw error;
  }
  // Pages of a file may come back damaged; those beside a device never leave memory.
  const assertNumbers = openStore ? null : finiteCheck(backend);
  let pageIns = 0;
  let waitSeconds = 0;
  const timed = (move: () => void): void => {
    const start = performance.now();
    move();
    waitSeconds += (performance.now() - start) / 1000;
  };
  return {
    get pageIns() {
      return pageIns;
    },
    get waitSeconds() {
      return waitSeconds;
    },
    withPage({ from, to, offset }, layout, isChanged, body) {
      const views = layout.arrays.map(
        (spec) => [spec.kind, partOf(arrays.get(slotKey(spec))!, 0, [to - from, ...spec.row])] as const,
      );
      const all = views.map(([, view]) => view);
      timed(() => {
        store.read(offset!, all);
      });
      pageIns++;
      for (const [kind, view] of views) assertNumbers?.(view, kind);
      body(Object.fromEntries(views));
      if (isChanged)
        timed(() => {
          store.write(offset!, all);
        });
    },
    dispose,
  };
}

/** A check that throws where a float array holds NaN or infinity. Its memory is there from the start. */
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
