import { QdyloraError, shownValue } from '@qdylora/contract';
import type { Parameter } from '@qdylora/tensor';
import type { Stretch } from './step-counter.ts';

/** A factor on the learning rate of some rows: from the end of the previous entry up to row `until`. */
export interface RowRate {
  /** Exclusive; Infinity for "to the last row". */
  readonly until: number;
  readonly factor: number;
}

/** Factors on the learning rate of the rows of a parameter, along its first axis. */
export type RowRates = (parameter: Parameter) => readonly RowRate[];

/** Rows with equally many updates and one factor on their learning rate. */
export interface RatedStretch extends Stretch {
  readonly factor: number;
}

/** Every row at the learning rate itself. */
export const UNIFORM_RATES: RowRates = () => [{ until: Infinity, factor: 1 }];

/** The different factors of all parameters.  @throws QdyloraError BAD_ARGUMENT for factors that do not fit */
export function differentFactors(parameters: readonly Parameter[], rowRates: RowRates): readonly number[] {
  const factors = new Set<number>();
  for (const parameter of parameters) {
    const rates = rowRates(parameter);
    assertRates(parameter, rates);
    for (const { factor } of rates) factors.add(factor);
  }
  return [...factors];
}

function assertRates({ name, view }: Parameter, rates: readonly RowRate[]): void {
  const rise = rates.every(({ until }, i) => until > (rates[i - 1]?.until ?? 0));
  const cover = (rates.at(-1)?.until ?? 0) >= view.shape[0];
  if (rise && cover && rates.every(({ factor }) => Number.isFinite(factor) && factor > 0)) return;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'rowRates',
    problem:
      `The ends of the row rates of ${name} must rise to at least ${view.shape[0]}, and their factors be ` +
      `greater than 0 (got ${shownValue(rates)})`,
  });
}

/** Cuts stretches where the factor changes. */
export const ratedStretches = (
  stretches: readonly Stretch[],
  rates: readonly RowRate[],
): readonly RatedStretch[] =>
  stretches.flatMap((stretch) =>
    rates.flatMap(({ until, factor }, i) => {
      const from = Math.max(stretch.from, rates[i - 1]?.until ?? 0);
      const to = Math.min(stretch.to, until);
      return from < to ? [{ from, to, step: stretch.step, factor }] : [];
    }),
  );
