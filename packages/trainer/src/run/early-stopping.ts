import { assertArgument, QdyloraError } from '@qdylora/contract';
import type { EvalEvent } from './train-events.ts';

/** Ends a run that no longer gets better on rows that it does not learn from. */
export interface EarlyStoppingOptions {
  /**
   * What is watched: the held-out loss of one rank, which should fall, or the area under the curve of all
   * judged ranks, which should rise.
   */
  readonly on: number | 'aurac';
  /** Evaluations in a row without an improvement after which the run ends; 3 by default. */
  readonly patience?: number;
  /** An improvement has to be more than this; 0 by default. */
  readonly minDelta?: number;
}

/**
 * Where the watch stands; part of a run's state, so that a resumed run ends where the uninterrupted one did.
 */
export interface EarlyStoppingState {
  readonly on: number | 'aurac';
  /** Best value so far, and the step that had it. */
  readonly best: number;
  readonly bestStep: number;
  /** Evaluations since then. */
  readonly waited: number;
}

export const DEFAULT_PATIENCE = 3;

/** @throws QdyloraError BAD_ARGUMENT naming the option that does not fit. */
export function checkEarlyStopping({
  on,
  patience = DEFAULT_PATIENCE,
  minDelta = 0,
}: EarlyStoppingOptions): void {
  assertArgument(
    on === 'aurac' || (Number.isSafeInteger(on) && on >= 1),
    'early_stopping',
    `expected a rank or aurac, got ${String(on)}`,
  );
  assertArgument(
    Number.isSafeInteger(patience) && patience >= 1,
    'early_stopping_patience',
    `expected a whole number ≥ 1, got ${patience}`,
  );
  assertArgument(
    Number.isFinite(minDelta) && minDelta >= 0,
    'early_stopping_min_delta',
    `expected a number ≥ 0, got ${minDelta}`,
  );
}

/**
 * The watch after one more evaluation. A value that is no number is no improvement. One that was kept for
 * another quantity begins anew.
 *
 * @throws QdyloraError BAD_ARGUMENT where the evaluation does not have what is watched.
 */
export function watchEvaluation(
  { on, minDelta = 0 }: EarlyStoppingOptions,
  before: EarlyStoppingState | null,
  event: Pick<EvalEvent, 'step' | 'byRank' | 'aurac'>,
): EarlyStoppingState {
  const value = watchedValue(on, event);
  const better = (one: number, other: number): boolean =>
    (on === 'aurac' ? one - other : other - one) > minDelta;
  if (before?.on !== on || (Number.isNaN(before.best) && !Number.isNaN(value)))
    return { on, best: value, bestStep: event.step, waited: 0 };
  if (better(value, before.best)) return { on, best: value, bestStep: event.step, waited: 0 };
  return { ...before, waited: before.waited + 1 };
}

function watchedValue(on: number | 'aurac', { byRank, aurac }: Pick<EvalEvent, 'byRank' | 'aurac'>): number {
  const value = on === 'aurac' ? aurac : byRank.find(({ rank }) => rank === on)?.loss;
  if (typeof value === 'number') return value;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'early_stopping',
    problem:
      `expected an evaluation that has ` +
      `${on === 'aurac' ? 'an area under the rank curve (aurac)' : `rank ${on}`}, got ranks ` +
      `${byRank.map(({ rank }) => rank).join(', ') || 'none'}`,
    nextStep:
      on === 'aurac'
        ? 'Judge the base beside the ranks, or watch one rank.'
        : 'Judge that rank too, or watch another one.',
  });
}
