import { QdyloraError } from '@qdylora/contract';
import { createBatches, type Batches } from '@qdylora/data';
import { learningRateSchedule, type LearningRateSchedule } from '@qdylora/trainer';
import { distinctRows } from '../../../config/distinct-rows.ts';
import type { RunConfig } from '../../../config/resolve-run.ts';
import type { RatedConfig } from './default-learning-rate.ts';
import type { RunData } from '../load-data.ts';
import type { Warn } from '../../hooks.ts';

type TrainingRows = Pick<RunData, 'training'>;

/** The optimizer steps of a run: their rows, their number and their learning rates. */
export interface StepLayout {
  readonly batches: Batches;
  readonly totalSteps: number;
  readonly schedule: LearningRateSchedule;
}

/**
 * Computes the steps of a run from its rows. It needs no model, so a schedule that does not fit is refused
 * before one is built.
 *
 * @throws QdyloraError BAD_CONFIG, BAD_ARGUMENT for settings that the schedule does not have
 */
export function layOutSteps(config: RatedConfig, data: TrainingRows, warn: Warn): StepLayout {
  const batches = batchesOf(config, data);
  const totalSteps = countSteps(config, batches.stepsPerEpoch);
  const schedule = scheduleOf(config, totalSteps);
  warnOfNoRate(schedule, totalSteps, warn);
  warnOfWarmup(config, { totalSteps, warmupSteps: schedule.warmupSteps }, warn);
  return { batches, totalSteps, schedule };
}

const batchesOf = (config: RunConfig, { training }: TrainingRows): Batches => {
  const { seed, dataSeed, packing, maxSeqLength, groupByLength } = config;
  return createBatches(training, {
    ...distinctRows(config),
    shuffle: true,
    seed: dataSeed ?? seed,
    packing,
    maxSeqLength,
    groupByLength,
  });
};

function countSteps({ maxSteps, numEpochs }: RunConfig, stepsPerEpoch: number): number {
  const steps = maxSteps ?? Math.ceil(numEpochs * stepsPerEpoch);
  if (Number.isSafeInteger(steps)) return steps;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'num_epochs',
    problem: `${numEpochs} epochs of ${stepsPerEpoch} steps are more than 2^53 steps.`,
    nextStep: 'Lower it, or set max_steps.',
    details: { numEpochs, stepsPerEpoch },
  });
}

const scheduleOf = (config: RatedConfig, totalSteps: number): LearningRateSchedule =>
  learningRateSchedule({
    name: config.lrScheduler,
    learningRate: config.learningRate,
    totalSteps,
    // undefined: the default of this schedule
    minLearningRateRatio: config.minLearningRateRatio ?? undefined,
    warmupSteps: config.warmupSteps ?? undefined,
    warmupRatio: config.warmupRatio ?? undefined,
    numCycles: config.lrNumCycles ?? undefined,
    power: config.lrPower ?? undefined,
    timescale: config.lrTimescale ?? undefined,
    numDecaySteps: config.lrNumDecaySteps ?? undefined,
  });

/** Warns of a warm-up that the schedule does not have, or that is longer than the run. */
function warnOfWarmup(
  { lrScheduler, warmupSteps: requestedSteps, warmupRatio }: RunConfig,
  { totalSteps, warmupSteps }: { readonly totalSteps: number; readonly warmupSteps: number },
  warn: Warn,
): void {
  if (lrScheduler === 'constant') {
    if (requestedSteps || warmupRatio)
      warn(
        `lr_scheduler constant has no warm-up, so ` +
          `${requestedSteps ? `warmup_steps ${requestedSteps}` : `warmup_ratio ${warmupRatio}`} does ` +
          `nothing: constant_with_warmup has one.`,
      );
  } else if (warmupSteps >= totalSteps && totalSteps > 1) {
    warn(
      `The warm-up of ${warmupSteps} steps is not over when the run of ${totalSteps} steps ends: the ` +
        `learning rate never reaches learning_rate. Lower warmup_steps or warmup_ratio, or train for more ` +
        `steps.`,
    );
  }
}

/** The first step of a warm-up has rate 0, as in transformers, so a run of that step alone learns nothing. */
function warnOfNoRate(schedule: LearningRateSchedule, totalSteps: number, warn: Warn): void {
  if (totalSteps === 0 || hasRate(schedule, totalSteps)) return;
  warn(
    `${totalSteps === 1 ? 'The only step has' : `All ${totalSteps} steps have`} learning rate 0, so ` +
      `nothing will be learned: the warm-up begins at 0. Train for more steps, or set warmup_steps: 0.`,
  );
}

function hasRate(schedule: LearningRateSchedule, totalSteps: number): boolean {
  for (let step = 0; step < totalSteps; step++) if (schedule.at(step) > 0) return true;
  return false;
}
