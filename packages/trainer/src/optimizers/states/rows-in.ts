import { QdyloraError } from '@qdylora/contract';
import type { Parameter } from '@qdylora/tensor';
import type { StateLayout } from './state-layout.ts';
import type { RatedStretch } from '../row-rates.ts';

/** Rows [from, to) of a layout that have had `step` updates; `to` is finite. */
export type RowPart = RatedStretch;

/**
 * The rows of a page that a stretch names: none or one part.
 *
 * @throws QdyloraError UNSUPPORTED for a part of a vector whose 8-bit blocks run over all of it: an entry
 * that is to stay would be rounded again with its neighbours' scale.
 */
export function rowsIn(
  page: { readonly from: number; readonly to: number },
  stretch: RatedStretch,
  { name, view }: Parameter,
  { rows }: StateLayout,
): RowPart[] {
  const entryCount = view.shape[0];
  const isOneRow = rows !== entryCount;
  const whole = stretch.from === 0 && stretch.to >= entryCount;
  if (isOneRow && stretch.from < entryCount && !whole) {
    throw new QdyloraError('UNSUPPORTED', {
      where: 'optimizer',
      problem:
        `${name} has its 8-bit state in blocks, so all of its ${entryCount} entries must be updated ` +
        `together (got ${stretch.from}…${Math.min(stretch.to, entryCount)})`,
      nextStep: 'Use a 32-bit optimizer, or train the whole vector.',
      details: { name },
    });
  }
  const from = isOneRow ? (whole ? 0 : rows) : Math.max(page.from, stretch.from);
  const to = Math.min(page.to, isOneRow ? rows : stretch.to);
  return from < to ? [{ ...stretch, from, to }] : [];
}
