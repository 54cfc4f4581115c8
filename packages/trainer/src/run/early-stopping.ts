import { assertArgument, QdyloraError } from '@qdylora/contract';
import type { EvalEvent } from './train-events.ts';

/**
 * Ends a run whose evaluations no longer improve. Evaluations before its rows are sorted (`wideSteps`) do not
 * count.
 */
export interface EarlyStoppingOptions {
  /** The watched value: the held-out loss of one rank (lower is better), or `aurac` (higher is better). */
  readonly on: number | 'aurac';
  /** Evaluations in a row without improvement that end the run; 3 by default. */
  readonly patience?: number;
  /** A change counts as an improvement only if it is greater than this; 0 by default. */
  readonly minDelta?: number;
}

/** State of early stopping. It is part of each checkpoint, so a resumed run ends at the same step. */
export interface EarlyStoppingState {
  readonly on: number | 'aurac';
  /** Best value so far, and the step that had it. */
  readonly best: number;
  readonly bestStep: number;
  /** Evaluations since `bestStep`. */
  readonly waited: number;
}

/** Default of `EarlyStoppingOptions.patience`. */
export const DEFAULT_PATIENCE = 3;

/** Checks the options. @throws QdyloraError BAD_ARGUMENT that names the invalid option. */
export function checkEarlyStopping({
  on,
  patience = DEFAULT_PATIENCE,
  minDelta = 0,
}: EarlyStoppingOptions): void {
  assertArgument(
    on === 'aurac' || (Number.isSafeInteger(on) && on >= 1),
    'early_stopping',
    `\`early_stopping\` must be a rank or aurac (got ${String(on)})`,
  );
  assertArgument(
    Number.isSafeInteger(patience) && patience >= 1,
    'early_stopping_patience',
    `\`early_stopping_patience\` must be a whole number of at least 1 (got ${patience})`,
  );
  assertArgument(
    Number.isFinite(minDelta) && minDelta >= 0,
    'early_stopping_min_delta',
    `\`early_stopping_min_delta\` must be a number of at least 0 (got ${minDelta})`,
  );
}

/**
 * The state after one more evaluation. NaN is never an improvement. A state that watched another value starts
 * over.
 *
 * @throws QdyloraError BAD_ARGUMENT if the evaluation does not have the watched value.
 */
export function watchEvaluation(
  { on, minDelta = 0 }: EarlyStoppingOptions,
  before: EarlyStoppingState | null,
  event: Pick<EvalEvent, 'step' | 'byRank' | 'aurac'>,
): EarlyStoppingState {
  const value = watchedValue(on, event);
  const better = (one: number, other: number): boolean =>
    (on === 'aurac' ? one - other : other - one) > minDelta;
  // an infinite loss is read back as NaN: a resumed run must decide as the uninterrupted one
  if (before?.on !== on || (!Number.isFinite(before.best) && Number.isFinite(value)))
    return { on, best: value, bestStep: event.step, waited: 0 };
  if (Number.isFinite(value) && better(value, before.best))
    return { on, best: value, bestStep: event.step, waited: 0 };
  return { ...before, waited: before.waited + 1 };
}

function watchedValue(on: number | 'aurac', { byRank, aurac }: Pick<EvalEvent, 'byRank' | 'aurac'>): number {
  const value = on === 'aurac' ? aurac : byRank.find(({ rank }) => rank === on)?.loss;
  if (typeof value === 'number') return value;
  const missing = on === 'aurac' ? 'area under the rank curve (aurac)' : `loss of rank ${on}`;
  const ranks = byRank.map(({ rank }) => rank).join(', ') || 'none';
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'early_stopping',
    problem: `The evaluation has no ${missing}; its ranks are ${ranks}`,
    nextStep:
      on === 'aurac'
        ? 'Evaluate the base beside the ranks, or watch one rank.'
        : 'Evaluate that rank too, or watch another one.',
  });
}
