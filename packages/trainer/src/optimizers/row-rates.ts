import { QdyloraError, shownValue } from '@qdylora/contract';
import type { Parameter } from '@qdylora/tensor';
import type { OptimizerUpdate } from './optimizer.ts';
import type { CountedRange } from './step-counter.ts';

/** A factor on the learning rate of some rows: from the end of the previous entry up to row `until`. */
export interface RowRate {
  /** Exclusive; Infinity for "to the last row". */
  readonly until: number;
  readonly factor: number;
  /** The factor at wide steps (`OptimizerUpdate`); `factor` by default. */
  readonly wideFactor?: number;
}

/** Factors on the learning rate of some rows: at wide steps, and at all other steps. */
export type RowFactors = Required<Omit<RowRate, 'until'>>;

/** Factors on the learning rate of the rows of a parameter, along its first axis. */
export type RowRates = (parameter: Parameter) => readonly RowRate[];

/** Consecutive rows with the same update count and the same factors on their learning rate. */
export interface RatedRange extends CountedRange, RowFactors {}

/** The factor 1 for every row. */
export const UNIFORM_RATES: RowRates = () => [{ until: Infinity, factor: 1 }];

/** The learning rate of some rows at an update. */
export const rowRateOf = (
  { learningRate, isWide = false }: Pick<OptimizerUpdate, 'learningRate' | 'isWide'>,
  { factor, wideFactor }: RowFactors,
): number => learningRate * (isWide ? wideFactor : factor);

export const areSameFactors = (left: RowFactors, right: RowFactors): boolean =>
  left.factor === right.factor && left.wideFactor === right.wideFactor;

/** The different factors of all parameters.  @throws QdyloraError BAD_ARGUMENT for invalid row rates */
export function differentFactors(
  parameters: readonly Parameter[],
  rowRates: RowRates,
): readonly RowFactors[] {
  const different: RowFactors[] = [];
  for (const parameter of parameters) {
    const rates = rowRates(parameter);
    assertRates(parameter, rates);
    for (const { factor, wideFactor = factor } of rates) {
      const factors = { factor, wideFactor };
      if (!different.some((each) => areSameFactors(each, factors))) different.push(factors);
    }
  }
  return different;
}

function assertRates({ name, view }: Parameter, rates: readonly RowRate[]): void {
  const areAscending = rates.every(({ until }, i) => until > (rates[i - 1]?.until ?? 0));
  const haveAllRows = (rates.at(-1)?.until ?? 0) >= view.shape[0];
  const isFactor = (value: number): boolean => Number.isFinite(value) && value > 0;
  const haveFactors = rates.every(
    ({ factor, wideFactor = factor }) => isFactor(factor) && isFactor(wideFactor),
  );
  if (areAscending && haveAllRows && haveFactors) return;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'rowRates',
    problem:
      `The ends of the row rates of ${name} must rise to at least ${view.shape[0]}, and their factors be ` +
      `greater than 0 (got ${shownValue(rates)})`,
  });
}

/** Cuts ranges at the rows where the factors change. */
export const ratedRanges = (
  ranges: readonly CountedRange[],
  rates: readonly RowRate[],
): readonly RatedRange[] =>
  ranges.flatMap((range) =>
    rates.flatMap(({ until, factor, wideFactor = factor }, i) => {
      const from = Math.max(range.from, rates[i - 1]?.until ?? 0);
      const to = Math.min(range.to, until);
      return from < to ? [{ from, to, step: range.step, factor, wideFactor }] : [];
    }),
  );
