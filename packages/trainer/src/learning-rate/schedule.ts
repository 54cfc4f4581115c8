import { assertArgument, QdyloraError } from '@qdylora/contract';
import { constant, constantWithWarmup } from './constant.ts';
import { cosine } from './cosine.ts';
import { linear } from './linear.ts';

/** Factor on the learning rate at `step`, which counts from 0. */
export type ScheduleShape = (step: number, lengths: { readonly warmupSteps: number; readonly totalSteps: number }) => number;

/** Names as transformers' `lr_scheduler_type`. */
export const SCHEDULE_NAMES = ['constant', 'constant_with_warmup', 'linear', 'cosine'] as const;
export type ScheduleName = (typeof SCHEDULE_NAMES)[number];

export interface ScheduleOptions {
  readonly name: ScheduleName;
  /** The peak. */
  readonly learningRate: number;
  readonly totalSteps: number;
  /** Steps of linear rise from 0; wins over `warmupRatio`. `constant` has no warm-up, as in transformers. */
  readonly warmupSteps?: number;
  /** Share of all steps, rounded up; 0 by default. */
  readonly warmupRatio?: number;
  /** Where a cosine ends, as a share of the peak; 0 by default. */
  readonly minLearningRateRatio?: number;
}

/** The learning rate of each optimizer step (0 = the first). A pure function, so a resumed run needs nothing saved. */
export interface LearningRateSchedule { readonly warmupSteps: number; at(step: number): number }

/**
 * transformers' schedules.
 *
 * @throws QdyloraError BAD_ARGUMENT for a name that is not here, or numbers outside their range.
 * @example
 * learningRateSchedule({ name: 'cosine', learningRate: 2e-4, totalSteps: 100, warmupRatio: 0.03 }).at(3); // 2e-4
 */
export function learningRateSchedule(options: ScheduleOptions): LearningRateSchedule {
  const { name, learningRate, totalSteps, warmupRatio = 0 } = options;
  check(options);
  const warmupSteps = options.warmupSteps ?? Math.ceil(totalSteps * warmupRatio), shape = shapeOf(name, options.minLearningRateRatio ?? 0);
  return { warmupSteps, at: (step) => learningRate * shape(step, { warmupSteps, totalSteps }) };
}

function shapeOf(name: ScheduleName, minimum: number): ScheduleShape {
  switch (name) {
    case 'constant': return constant;
    case 'constant_with_warmup': return constantWithWarmup;
    case 'linear': return linear;
    case 'cosine': return cosine(minimum);
    default: throw new QdyloraError('BAD_ARGUMENT', { where: 'lr_scheduler', problem: `expected one of ${SCHEDULE_NAMES.join(', ')}, got ${String(name)}` });
  }
}

function check({ learningRate, totalSteps, warmupSteps, warmupRatio = 0, minLearningRateRatio = 0 }: ScheduleOptions): void {
  const need = (holds: boolean, expected: string, name: string, got: unknown): void => assertArgument(holds, 'lr_scheduler', `expected ${expected} for ${name}, got ${String(got)}`);
  need(Number.isFinite(learningRate) && learningRate >= 0, 'a number ≥ 0', 'learning_rate', learningRate);
  need(Number.isSafeInteger(totalSteps) && totalSteps >= 0, 'a whole number ≥ 0', 'the number of steps', totalSteps);
  need(warmupSteps === undefined || (Number.isSafeInteger(warmupSteps) && warmupSteps >= 0), 'a whole number ≥ 0', 'warmup_steps', warmupSteps);
  need(warmupRatio >= 0 && warmupRatio <= 1, 'a number within 0…1', 'warmup_ratio', warmupRatio);
  need(minLearningRateRatio >= 0 && minLearningRateRatio <= 1, 'a number within 0…1', 'the minimal learning rate ratio', minLearningRateRatio);
}
