import type { QdyloraError } from '@qdylora/contract';
import { DEFAULT_PATIENCE } from '@qdylora/trainer';
import type { ExplicitValues } from '../explicit-values.ts';
import type { KEYS } from '../keys.ts';
import { refusedValue, type NameKey } from './check-combinations.ts';
import type { OutputOf } from './check-values.ts';

type Config = OutputOf<typeof KEYS>;

/**
 * Values that are the defaults are allowed, since the saved config of a run names all its values.
 *
 * @throws QdyloraError BAD_CONFIG for a patience or a least change in a run that does not stop early
 */
export function assertEarlyStoppingKeys(
  { earlyStopping, earlyStoppingPatience, earlyStoppingMinDelta }: Config,
  explicit: ExplicitValues,
): void {
  if (earlyStopping !== null) return;
  const refuse = (key: string): QdyloraError =>
    refusedValue(
      explicit,
      key,
      (name) => `${name(key)} has no effect without ${name('earlyStopping')}`,
      'Set early_stopping to aurac or to a rank, or leave it out.',
    );
  if (earlyStoppingPatience !== DEFAULT_PATIENCE) throw refuse('earlyStoppingPatience');
  if (earlyStoppingMinDelta !== 0) throw refuse('earlyStoppingMinDelta');
}

/** @throws QdyloraError BAD_CONFIG for evaluations or early stopping that have nothing to evaluate */
export function assertEvaluationFits(
  { evalRanks, evalBudgets, earlyStopping, evalSteps, evalDataset, valSetSize }: Config,
  ranks: readonly number[],
  explicit: ExplicitValues,
): void {
  const evaluatedRanks = evalRanks ?? ranks;
  if (evaluatedRanks.at(-1)! > ranks.at(-1)!)
    throw refusedValue(
      explicit,
      'evalRanks',
      (name) => `${name('evalRanks')} has rank ${evaluatedRanks.at(-1)}, but the largest is ${ranks.at(-1)}`,
      'Name ranks that the run trains.',
    );
  if (evalBudgets !== null) assertBudgets({ evalBudgets, evalDataset, valSetSize }, ranks, explicit);
  if (earlyStopping === null) return;
  const refuse = (problem: (name: NameKey) => string, nextStep: string): QdyloraError =>
    refusedValue(explicit, 'earlyStopping', problem, nextStep);
  if (typeof earlyStopping === 'number' && !evaluatedRanks.includes(earlyStopping))
    throw refuse(
      (name) => `${name('earlyStopping')} watches rank ${earlyStopping}, which is not evaluated`,
      `Choose aurac or one of the ranks ${evaluatedRanks.join(', ')}.`,
    );
  if (evalSteps === 0)
    throw refuse(
      (name) => `${name('earlyStopping')} needs evaluations between steps, and ${name('evalSteps')} is 0`,
      'Set it to the number of steps between two evaluations.',
    );
  if (!evalDataset && valSetSize === 0)
    throw refuse(
      (name) => `${name('earlyStopping')} needs held-out rows`,
      'Set val_set_size or eval_dataset.',
    );
}

function assertBudgets(
  { evalBudgets, evalDataset, valSetSize }: Pick<Config, 'evalBudgets' | 'evalDataset' | 'valSetSize'>,
  ranks: readonly number[],
  explicit: ExplicitValues,
): void {
  if (!evalDataset && valSetSize === 0)
    throw refusedValue(
      explicit,
      'evalBudgets',
      (name) => `${name('evalBudgets')} needs held-out rows`,
      'Set val_set_size or eval_dataset.',
    );
  if (evalBudgets === 'ranks' && ranks.length === 1)
    throw refusedValue(
      explicit,
      'evalBudgets',
      (name) =>
        `${name('evalBudgets')}: ranks means the sizes of all ranks below the largest, and the only rank ` +
        `is ${ranks[0]}`,
      'Give sizes, such as 1MB,4MB.',
    );
}
