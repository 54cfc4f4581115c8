import type { OutputOf } from './check-values.ts';
import { refusedValue } from './check-combinations.ts';
import type { ExplicitValues } from '../explicit-values.ts';
import type { KEYS } from '../keys.ts';

/** @throws QdyloraError BAD_CONFIG for two keys about rows of which only one can hold */
export function assertRowKeysFit(
  {
    evalDataset,
    valSetSize,
    packing,
    groupByLength,
  }: Pick<OutputOf<typeof KEYS>, 'evalDataset' | 'valSetSize' | 'packing' | 'groupByLength'>,
  explicit: ExplicitValues,
): void {
  if (evalDataset && valSetSize > 0)
    throw refusedValue(
      explicit,
      'valSetSize',
      (name) =>
        `${name('evalDataset')} (${evalDataset.join(', ')}) and ${name('valSetSize')} (${valSetSize}) both ` +
        'choose the held-out rows',
      'Leave one of them out.',
    );
  if (packing && groupByLength)
    throw refusedValue(
      explicit,
      'groupByLength',
      (name) => `${name('packing')} and ${name('groupByLength')} exclude each other`,
      'Packing fills every sequence, so there is nothing left to group: leave one out.',
    );
}
