import { elementCount, QdyloraError } from '@qdylora/contract';
import { layoutBytes, specBytes, type StateLayout, type StateSpec } from '../states/state-layout.ts';

/** Rows of one parameter's state that move together. `offset`: in the page file; null: always in memory. */
export interface Page {
  readonly owner: number;
  readonly from: number;
  readonly to: number;
  readonly offset: number | null;
}

/** An array that holds the rows of one kind of one page at a time. It fits the largest page. */
export interface SlotArray {
  readonly dtype: StateSpec['dtype'];
  readonly elements: number;
}

export interface PagePlan {
  /** In the order of parameters and rows, which is also the order of offsets. */
  readonly pages: readonly Page[];
  /** Arrays of a slot by `slotKey`; empty if nothing is paged. */
  readonly slot: ReadonlyMap<string, SlotArray>;
  /** Slots of these arrays. */
  readonly slotCount: number;
  readonly residentBytes: number;
  readonly pagedBytes: number;
  /** Bytes of the page file. */
  readonly fileBytes: number;
}

/** Target size of a page: a guess, small compared with useful budgets; other sizes were not measured. */
const PAGE_BYTES = 2 ** 20;
/** All slots together take at most an eighth of the budget, so that most of it holds resident state. */
const SLOT_DIVISOR = 8;
/** Pages begin at blocks of the file system, so that a write never has to read half a block first. */
const FILE_BLOCK = 4096;

export const slotKey = ({ kind, dtype }: StateSpec): string => `${kind} ${dtype}`;

/**
 * Plans which states stay in memory under a budget: the first ones that fit do. The rest are pages that take
 * turns in the slots. A step reads the pages in the same order each time, so keeping the most recently used
 * ones (LRU) would keep exactly those that are needed last.
 *
 * @param slotCount pages that are in memory at the same time
 * @throws QdyloraError BAD_ARGUMENT for a budget that cannot hold one row in each slot.
 */
export function planPages(layouts: readonly StateLayout[], budgetBytes: number, slotCount = 1): PagePlan {
  const total = layouts.reduce((sum, layout) => sum + layoutBytes(layout, layout.rows), 0);
  if (total <= budgetBytes)
    return {
      pages: layouts.map(({ rows }, owner) => ({ owner, from: 0, to: rows, offset: null })),
      slot: new Map(),
      slotCount,
      residentBytes: total,
      pagedBytes: 0,
      fileBytes: 0,
    };
  const cut = layouts.flatMap((layout, owner) =>
    cutRows(layout, owner, Math.min(PAGE_BYTES, budgetBytes / (SLOT_DIVISOR * slotCount))),
  );
  const slot = slotFor(layouts, cut);
  const slotBytes = slotCount * bytesOfSlot(slot);
  if (slotBytes > budgetBytes) {
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'optimizer_memory_budget',
      problem: `The budget must be at least ${pagesText(slotCount)}, ${slotBytes} bytes (got ${budgetBytes})`,
      nextStep: 'Raise it.',
      details: { leastBytes: slotBytes, budgetBytes },
    });
  }
  const pages: Page[] = [];
  let residentBytes = slotBytes;
  let fileBytes = 0;
  let isFull = false;
  for (const page of cut) {
    const bytes = layoutBytes(layouts[page.owner], page.to - page.from);
    isFull ||= residentBytes + bytes > budgetBytes;
    pages.push({ ...page, offset: isFull ? fileBytes : null });
    if (isFull) fileBytes += Math.ceil(bytes / FILE_BLOCK) * FILE_BLOCK;
    else residentBytes += bytes;
  }
  return {
    pages,
    slot,
    slotCount,
    residentBytes,
    pagedBytes: total - (residentBytes - slotBytes),
    fileBytes,
  };
}

const pagesText = (count: number): string => (count === 1 ? 'one page' : `${count} pages`);

/** Pages of whole rows, all with the same number of rows except the last. */
function cutRows(layout: StateLayout, owner: number, pageBytes: number): Omit<Page, 'offset'>[] {
  const perPage = Math.max(1, Math.floor(pageBytes / layoutBytes(layout, 1)));
  const pages: Omit<Page, 'offset'>[] = [];
  for (let from = 0; from < layout.rows; from += perPage)
    pages.push({ owner, from, to: Math.min(layout.rows, from + perPage) });
  return pages;
}

function slotFor(
  layouts: readonly StateLayout[],
  pages: readonly Omit<Page, 'offset'>[],
): Map<string, SlotArray> {
  const slot = new Map<string, SlotArray>();
  for (const { owner, from, to } of pages) {
    for (const spec of layouts[owner].arrays) {
      const elements = (to - from) * elementCount(spec.row);
      slot.set(slotKey(spec), {
        dtype: spec.dtype,
        elements: Math.max(elements, slot.get(slotKey(spec))?.elements ?? 0),
      });
    }
  }
  return slot;
}

const bytesOfSlot = (slot: ReadonlyMap<string, SlotArray>): number =>
  [...slot.values()].reduce(
    (sum, { dtype, elements }) => sum + specBytes({ kind: '', dtype, row: [elements] }, 1),
    0,
  );
