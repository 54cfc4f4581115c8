import { QdyloraError, shownValue } from '@qdylora/contract';
import type { Parameter } from '@qdylora/tensor';
import type { OptimizerUpdate } from './optimizer.ts';
import type { Stretch } from './step-counter.ts';

/** A factor on the learning rate of some rows: from the end of the previous entry up to row `until`. */
export interface RowRate {
  /** Exclusive; Infinity for "to the last row". */
  readonly until: number;
  readonly factor: number;
  /** The factor at wide steps (`OptimizerUpdate`); `factor` by default. */
  readonly wideFactor?: number;
}

/** Factors on the learning rate of some rows: at wide steps, and at all others. */
export type RowFactors = Required<Omit<RowRate, 'until'>>;

/** Factors on the learning rate of the rows of a parameter, along its first axis. */
export type RowRates = (parameter: Parameter) => readonly RowRate[];

/** Rows with equally many updates and the same factors on their learning rate. */
export interface RatedStretch extends Stretch, RowFactors {}

/** Every row at the learning rate itself. */
export const UNIFORM_RATES: RowRates = () => [{ until: Infinity, factor: 1 }];

/** The learning rate of some rows at an update. */
export const rowRateOf = (
  { learningRate, isWide = false }: Pick<OptimizerUpdate, 'learningRate' | 'isWide'>,
  { factor, wideFactor }: RowFactors,
): number => learningRate * (isWide ? wideFactor : factor);

export const areSameFactors = (left: RowFactors, right: RowFactors): boolean =>
  left.factor === right.factor && left.wideFactor === right.wideFactor;

/** The different factors of all parameters.  @throws QdyloraError BAD_ARGUMENT for factors that do not fit */
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
  const rise = rates.every(({ until }, i) => until > (rates[i - 1]?.until ?? 0));
  const cover = (rates.at(-1)?.until ?? 0) >= view.shape[0];
  const isFactor = (value: number): boolean => Number.isFinite(value) && value > 0;
  const hasFactors = rates.every(
    ({ factor, wideFactor = factor }) => isFactor(factor) && isFactor(wideFactor),
  );
  if (rise && cover && hasFactors) return;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'rowRates',
    problem:
      `The ends of the row rates of ${name} must rise to at least ${view.shape[0]}, and their factors be ` +
      `greater than 0 (got ${shownValue(rates)})`,
  });
}

/** Cuts stretches where the factors change. */
export const ratedStretches = (
  stretches: readonly Stretch[],
  rates: readonly RowRate[],
): readonly RatedStretch[] =>
  stretches.flatMap((stretch) =>
    rates.flatMap(({ until, factor, wideFactor = factor }, i) => {
      const from = Math.max(stretch.from, rates[i - 1]?.until ?? 0);
      const to = Math.min(stretch.to, until);
      return from < to ? [{ from, to, step: stretch.step, factor, wideFactor }] : [];
    }),
  );
