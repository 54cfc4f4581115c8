import { QdyloraError } from '@qdylora/contract';
import type { Parameter } from '@qdylora/tensor';
import type { StateLayout } from './state-layout.ts';
import type { RatedRange } from '../row-rates.ts';

/**
 * The part of a range within a page, with a finite `to`: none or one.
 *
 * @throws QdyloraError UNSUPPORTED for a part of a vector with 8-bit state, whose blocks span the whole
 * vector: entries outside the part would be rounded again.
 */
export function rowsIn(
  page: { readonly from: number; readonly to: number },
  range: RatedRange,
  { name, view }: Parameter,
  { rows }: StateLayout,
): RatedRange[] {
  const entryCount = view.shape[0];
  const isOneRow = rows !== entryCount;
  const isWhole = range.from === 0 && range.to >= entryCount;
  if (isOneRow && range.from < entryCount && !isWhole) {
    throw new QdyloraError('UNSUPPORTED', {
      where: 'optimizer',
      problem:
        `${name} has its 8-bit state in blocks, so all of its ${entryCount} entries must be updated ` +
        `together (got ${range.from}…${Math.min(range.to, entryCount)})`,
      nextStep: 'Use a 32-bit optimizer, or train the whole vector.',
      details: { name },
    });
  }
  if (isOneRow) return isWhole ? [{ ...range, from: 0, to: rows }] : [];
  const from = Math.max(page.from, range.from);
  const to = Math.min(page.to, range.to);
  return from < to ? [{ ...range, from, to }] : [];
}
