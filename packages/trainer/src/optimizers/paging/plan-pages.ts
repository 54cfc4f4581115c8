import { elementCount, QdyloraError } from '@qdylora/contract';
import { layoutBytes, specBytes, type StateLayout, type StateSpec } from '../states/state-layout.ts';

/**
 * Some rows of one parameter's state, which move together. `offset`: where they lie in the page file; null:
 * always in memory.
 */
export interface Page {
  readonly owner: number;
  readonly from: number;
  readonly to: number;
  readonly offset: number | null;
}

/** An array that takes turns holding the paged rows of one kind: as many elements as the largest page has. */
export interface SlotArray {
  readonly dtype: StateSpec['dtype'];
  readonly elements: number;
}

export interface PagePlan {
  /** In order of parameters and rows, which is the order of offsets too. */
  readonly pages: readonly Page[];
  /** Arrays of a slot by `slotKey`; empty where nothing is paged. */
  readonly slot: ReadonlyMap<string, SlotArray>;
  /** Slots of these arrays. */
  readonly slotCount: number;
  readonly residentBytes: number;
  readonly pagedBytes: number;
  /** Bytes of the page file. */
  readonly fileBytes: number;
}

/** Pages aim at this size: a guess, small beside any budget that pays; other sizes were not measured. */
const PAGE_BYTES = 2 ** 20;
/** All slots together are at most such a part of the budget, so that they are small beside what stays. */
const SLOT_SHARE = 8;
/** Pages begin on the file system's blocks: a write never has to read half a block first. */
const FILE_BLOCK = 4096;

export const slotKey = ({ kind, dtype }: StateSpec): string => `${kind} ${dtype}`;

/**
 * Lays states out under a budget. What fits stays in memory for good, from the first parameter on; the rest
 * shares one slot. A step reads every page once, in a circle, so keeping the most recent ones instead (LRU)
 * would keep exactly those that are needed last.
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
    cutRows(layout, owner, Math.min(PAGE_BYTES, budgetBytes / (SLOT_SHARE * slotCount))),
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

/** Pages of whole rows, about equally many in each. */
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
