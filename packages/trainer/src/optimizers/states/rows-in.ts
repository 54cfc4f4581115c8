import { QdyloraError } from '@qdylora/contract';
import type { Parameter } from '@qdylora/tensor';
import type { StateLayout } from './state-layout.ts';
import type { Stretch } from '../step-counter.ts';

/** Rows [from, to) of a layout that have had `step` updates. */
export interface RowPart {
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

/**
 * The rows of a page that a stretch names: none or one part.
 *
 * @throws QdyloraError UNSUPPORTED for a part of a vector whose 8-bit blocks run over all of it: an entry
 * that is to stay would be rounded again with its neighbours' scale.
 */
export function rowsIn(
  page: { readonly from: number; readonly to: number },
  stretch: Stretch,
  { name, view }: Parameter,
  { rows }: StateLayout,
): RowPart[] {
  const own = view.shape[0];
  const isOneRow = rows !== own;
  const whole = stretch.from === 0 && stretch.to >= own;
  if (isOneRow && stretch.from < own && !whole) {
    throw new QdyloraError('UNSUPPORTED', {
      where: 'optimizer',
      problem:
        `expected all ${own} entries of ${name}, whose 8-bit state is in blocks, got ` +
        `${stretch.from}…${Math.min(stretch.to, own)}`,
      nextStep: 'Use a 32-bit optimizer, or train the whole vector.',
      details: { name },
    });
  }
  const from = isOneRow ? (whole ? 0 : rows) : Math.max(page.from, stretch.from);
  const to = Math.min(page.to, isOneRow ? rows : stretch.to);
  return from < to ? [{ from, to, step: stretch.step }] : [];
}
