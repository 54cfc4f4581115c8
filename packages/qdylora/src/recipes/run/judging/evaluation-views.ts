import type { RunConfig } from '../../../config/resolve-run.ts';

/** Views of the model that a full evaluation measures: every rank and the base, or the whole model. */
const viewsOf = ({ ranks }: Pick<RunConfig, 'ranks'>): number => (ranks ? ranks.length + 1 : 1);

type Evaluations = Pick<RunConfig, 'ranks' | 'evalSteps' | 'evalRanks'>;

/** Views that an evaluation between steps measures. */
export const viewsBetween = (config: Evaluations): number => config.evalRanks?.length ?? viewsOf(config);

/** Views that the evaluations after `step` measure: 1 … totalSteps. */
export function viewsLeft(config: Evaluations, step: number, totalSteps: number): number {
  const { evalSteps, evalRanks } = config;
  const atEnd = viewsOf(config);
  if (evalSteps === 0) return atEnd;
  const last = evalRanks ? totalSteps : totalSteps - 1;
  const evaluations = Math.floor(last / evalSteps) - Math.floor((step - 1) / evalSteps);
  return Math.max(0, evaluations) * viewsBetween(config) + atEnd;
}

/**
 * Share of the forward pass in a training pass. Backward costs two forward passes, or one on a frozen base,
 * which has no gradients of weights. Recompute costs one more.
 */
export function forwardShare({
  method,
  gradientCheckpointing,
}: Pick<RunConfig, 'method' | 'gradientCheckpointing'>): number {
  const backward = method === 'none' ? 2 : 1;
  const recompute = gradientCheckpointing === false ? 0 : 1;
  return 1 / (1 + backward + recompute);
}
