import type { QdyloraError } from '@qdylora/contract';
import type { ExplicitValues } from '../explicit-values.ts';
import { KEYS, type KeyName } from '../keys.ts';
import { refusedValue, type NameKey } from './check-combinations.ts';
import type { OutputOf } from './check-values.ts';

type Config = OutputOf<typeof KEYS>;

/** Keys that only a run with early stopping uses. */
const EARLY_STOPPING_KEYS = ['earlyStoppingPatience', 'earlyStoppingMinDelta'] as const;

/**
 * Values that are the defaults are allowed, since the saved config of a run names all its values.
 *
 * @throws QdyloraError BAD_CONFIG for a patience or a least change in a run that does not stop early
 */
export function assertEarlyStoppingKeys(config: Config, explicit: ExplicitValues): void {
  if (config.earlyStopping !== null) return;
  for (const key of EARLY_STOPPING_KEYS)
    if (config[key] !== KEYS[key].schema.parse(undefined))
      throw refusedValue(
        explicit,
        key,
        (name) => `${name(key)} has no effect without ${name('earlyStopping')}`,
        'Set early_stopping to aurac or to a rank, or leave it out.',
      );
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
  assertHeldOutRows('earlyStopping', { evalDataset, valSetSize }, explicit);
}

function assertHeldOutRows(
  key: KeyName,
  { evalDataset, valSetSize }: Pick<Config, 'evalDataset' | 'valSetSize'>,
  explicit: ExplicitValues,
): void {
  if (evalDataset || valSetSize > 0) return;
  throw refusedValue(
    explicit,
    key,
    (name) => `${name(key)} needs held-out rows`,
    'Set val_set_size or eval_dataset.',
  );
}

function assertBudgets(
  { evalBudgets, evalDataset, valSetSize }: Pick<Config, 'evalBudgets' | 'evalDataset' | 'valSetSize'>,
  ranks: readonly number[],
  explicit: ExplicitValues,
): void {
  assertHeldOutRows('evalBudgets', { evalDataset, valSetSize }, explicit);
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
