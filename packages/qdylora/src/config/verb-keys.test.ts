import { expect, it } from 'vitest';
import { valuesOfOptions } from './explicit-values.ts';
import { checkValues } from './values/check-values.ts';
import { EVALUATE_KEYS, EXPORT_KEYS, GENERATE_KEYS, MERGE_KEYS } from './verb-keys.ts';

it.each([
  ['generate', GENERATE_KEYS, { rank: 0 }, '`rank` must be a whole number ≥ 1 (got 0)'],
  ['export', EXPORT_KEYS, { rank: 0 }, '`rank` must be a whole number ≥ 1 (got 0)'],
  ['merge', MERGE_KEYS, { rank: 0 }, '`rank` must be a whole number ≥ 1 (got 0)'],
  [
    'eval',
    EVALUATE_KEYS,
    { ranks: [0, 1] },
    '`ranks` must be all or a list of whole numbers ≥ 1 (got [0,1])',
  ],
])('%s has no rank 0: the base is no rank of an adapter', (_, keys, options, problem) => {
  expect(() => checkValues(keys, valuesOfOptions(options))).toThrow(problem);
});
