import { gatherParts, termsOfWorker, type Communicator } from '@qdylora/collectives';
import { passesOfWorker } from '../sharing/passes-of-worker.ts';
import { passesOfStep, type StepPlan, type StepPlanOptions } from '../step/passes-of-step.ts';
import type { ResolvedTrainOptions, StepBatches } from './train-options.ts';

/**
 * Plans the passes of a step. If there are workers and the batches can be read in shares (`shareAt`), each
 * worker reads only the rows of its own passes. All workers make the same plan.
 */
export async function planStep(
  step: number,
  options: ResolvedTrainOptions,
  plan: StepPlanOptions,
): Promise<StepPlan> {
  const { batches, workers } = options;
  const planOf = (microBatches: Parameters<typeof passesOfStep>[1]): StepPlan =>
    passesOfStep(step, microBatches, options, plan);
  if (!workers || !batches.shareAt) return planOf(batches.batchAt(step));
  return planShared(step, batches as Required<StepBatches>, { workers, planOf });
}

/**
 * Which passes a worker runs depends on the lengths of all rows. So each worker first reads its share of the
 * micro batches, and the workers exchange lengths. Then each reads the rows that it needs from other shares:
 * at the borders, if micro batches have several passes or rows were left out.
 */
async function planShared(
  step: number,
  batches: Required<StepBatches>,
  {
    workers,
    planOf,
  }: {
    readonly workers: Communicator;
    readonly planOf: (microBatches: Parameters<typeof passesOfStep>[1]) => StepPlan;
  },
): Promise<StepPlan> {
  const { rank, size } = workers;
  const shared = await batches.shareAt(step, {
    rangeOf: (count) => termsOfWorker(count, rank, size),
    gather: (part) => gatherParts(workers, part),
  });
  const draft = planOf(shared.batches);
  const passes = new Set(passesOfWorker(draft.passes, workers));
  const needed = new Set(draft.batchOfPass.filter((_, i) => passes.has(draft.passes[i])));
  return planOf(shared.batches.map((batch, i) => (needed.has(i) ? shared.read(i) : batch)));
}
