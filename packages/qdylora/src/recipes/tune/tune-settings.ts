import { QdyloraError } from '@qdylora/contract';
import type { OutputOf } from '../../config/values/check-values.ts';
import type { TUNE_ONLY_KEYS } from '../../config/verb-keys.ts';
import { leastBudget, planHalving, type HalvingPlan } from './plan-halving.ts';
import type { RecipeHooks } from '../hooks.ts';

/** How to search. */
export type TuneSettings = OutputOf<typeof TUNE_ONLY_KEYS>;

export type SearchHooks = Pick<RecipeHooks, 'onProgress'> & { readonly notice: (message: string) => void };

/** Optimizer steps that a search may take: a share of those of the run. */
export const budgetOf = (totalSteps: number, { budget }: Pick<TuneSettings, 'budget'>): number =>
  Math.floor(budget * totalSteps);

/**
 * The rounds of successive halving within a budget.
 *
 * @throws QdyloraError BAD_CONFIG where the budget does not reach for one step of each candidate
 */
export function planWithin(candidates: number, budgetSteps: number): HalvingPlan {
  const plan = planHalving(candidates, budgetSteps);
  if (plan) return plan;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'budget',
    problem:
      `${candidates} candidates need at least ${leastBudget(candidates)} steps, but the budget is ` +
      `${budgetSteps} (budget · the steps of the run).`,
    nextStep: 'Try fewer rates (--rates), train for more steps, or raise --budget.',
    details: { candidates, budgetSteps },
  });
}

/** Steps of a range test (Smith's needs enough to see the curve), within the budget. */
const RANGE_STEPS = 40;

/** @throws QdyloraError BAD_CONFIG for a budget of fewer than three steps, which are no curve */
export function rangeStepsWithin(budgetSteps: number): number {
  const steps = Math.min(RANGE_STEPS, budgetSteps);
  if (steps >= 3) return steps;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'budget',
    problem: `A range test needs at least 3 steps, but the budget is ${budgetSteps}.`,
    nextStep: 'Train for more steps, or raise --budget.',
  });
}
