import { expect, it } from 'vitest';
import { assertBudgetsFit } from './assert-budgets-fit.ts';

/** One layer whose row has 256 numbers: 1024 bytes. */
const state = { maxRank: 4, layers: [{ inFeatures: 128, outFeatures: 128 }] };

it('tells sizes apart that read the same in kB', () => {
  expect(() => assertBudgetsFit([1000], state)).toThrow(
    /A budget is 1,000 B, but the smallest row of an adapter takes 1,024 B\./,
  );
  expect(() => assertBudgetsFit([500], state)).toThrow(
    /A budget is 500 B, but the smallest row of an adapter takes 1\.0 kB\./,
  );
  expect(() => assertBudgetsFit([1024], state)).not.toThrow();
});
