import {
  anyValue,
  assertArgument,
  checkOptions,
  numberWithin,
  QdyloraError,
  required,
  type OptionRules,
} from '@qdylora/contract';
import { constant, constantWithWarmup } from './constant.ts';
import { cosine, cosineWithRestarts } from './cosine.ts';
import { inverseSqrt } from './inverse-sqrt.ts';
import { linear } from './linear.ts';
import { polynomial } from './polynomial.ts';
import { warmupStableDecay } from './warmup-stable-decay.ts';

/** Factor on the learning rate at `step`, which counts from 0. */
export type ScheduleShape = (
  step: number,
  lengths: { readonly warmupSteps: number; readonly totalSteps: number },
) => number;

/** Names as transformers' `lr_scheduler_type`. */
export const SCHEDULE_NAMES = [
  'constant',
  'constant_with_warmup',
  'linear',
  'cosine',
  'cosine_with_restarts',
  'polynomial',
  'inverse_sqrt',
  'warmup_stable_decay',
] as const;
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
  /**
   * Where cosine, polynomial and warmup_stable_decay end, as a share of the peak; no other schedule takes
   * more than 0. 0 by default; polynomial: a rate of 1e-7, as in transformers.
   */
  readonly minLearningRateRatio?: number;
  /** Waves of a cosine (0.5 by default), or how often one with restarts begins (1). */
  readonly numCycles?: number;
  /** Of polynomial; 1 by default: a straight line. */
  readonly power?: number;
  /** Steps in which inverse_sqrt falls to 1/√2; the warm-up's length by default, 10,000 without one. */
  readonly timescale?: number;
  /** Steps in which warmup_stable_decay falls; a tenth of all by default. */
  readonly numDecaySteps?: number;
}

/** Names and ranges are looked at below. */
const OPTIONS: OptionRules<ScheduleOptions> = {
  name: anyValue,
  learningRate: required(anyValue),
  totalSteps: anyValue,
  warmupSteps: anyValue,
  warmupRatio: numberWithin(),
  minLearningRateRatio: numberWithin(),
  numCycles: numberWithin(),
  power: numberWithin(),
  timescale: numberWithin(),
  numDecaySteps: numberWithin(),
};

/** Where transformers' polynomial ends. */
const POLYNOMIAL_END = 1e-7;

/**
 * Settings that only some schedules have; elsewhere they would do nothing, and are refused. Their names are
 * the config's.
 */
const SETTINGS = {
  numCycles: { key: 'lr_num_cycles', of: ['cosine', 'cosine_with_restarts'] },
  power: { key: 'lr_power', of: ['polynomial'] },
  timescale: { key: 'lr_timescale', of: ['inverse_sqrt'] },
  minLearningRateRatio: {
    key: 'min_learning_rate_ratio',
    of: ['cosine', 'polynomial', 'warmup_stable_decay'],
  },
  numDecaySteps: { key: 'lr_num_decay_steps', of: ['warmup_stable_decay'] },
} as const satisfies Partial<Record<keyof ScheduleOptions, { key: string; of: readonly ScheduleName[] }>>;

/**
 * The learning rate of each optimizer step (0 = the first). A pure function, so a resumed run needs nothing
 * saved.
 */
export interface LearningRateSchedule {
  readonly warmupSteps: number;
  at(step: number): number;
}

/**
 * transformers' schedules.
 *
 * @throws QdyloraError BAD_ARGUMENT for a name that is not here, numbers outside their range, or a setting
 * that the schedule does not have.
 * @example
 * learningRateSchedule({ name: 'cosine', learningRate: 2e-4, totalSteps: 100, warmupRatio: 0.03 }).at(3); // 2e-4
 */
export function learningRateSchedule(options: ScheduleOptions): LearningRateSchedule {
  checkOptions('lr_scheduler', options, OPTIONS);
  check(options);
  const { learningRate, totalSteps, warmupRatio = 0 } = options;
  const warmupSteps = options.warmupSteps ?? Math.ceil(totalSteps * warmupRatio);
  const shape = shapeOf(options);
  return { warmupSteps, at: (step) => learningRate * shape(step, { warmupSteps, totalSteps }) };
}

function shapeOf({
  name,
  learningRate,
  minLearningRateRatio,
  numCycles: cycles,
  power,
  timescale,
  numDecaySteps: decaySteps,
}: ScheduleOptions): ScheduleShape {
  const minimum = minLearningRateRatio ?? 0;
  switch (name) {
    case 'constant':
      return constant;
    case 'constant_with_warmup':
      return constantWithWarmup;
    case 'linear':
      return linear;
    case 'cosine':
      return cosine({ minimum, cycles });
    case 'cosine_with_restarts':
      return cosineWithRestarts({ cycles });
    case 'polynomial':
      return polynomial({
        power,
        minimum: minLearningRateRatio ?? (learningRate > 0 ? Math.min(1, POLYNOMIAL_END / learningRate) : 0),
      });
    case 'inverse_sqrt':
      return inverseSqrt({ timescale });
    case 'warmup_stable_decay':
      return warmupStableDecay({ minimum, decaySteps });
    default:
      throw new QdyloraError('BAD_ARGUMENT', {
        where: 'lr_scheduler',
        problem: `expected one of ${SCHEDULE_NAMES.join(', ')}, got ${String(name)}`,
      });
  }
}

function check(options: ScheduleOptions): void {
  const {
    name,
    learningRate,
    totalSteps,
    warmupSteps,
    warmupRatio = 0,
    minLearningRateRatio = 0,
    numCycles = 1,
    power = 1,
    timescale = 1,
    numDecaySteps = 0,
  } = options;
  const need = (holds: boolean, expected: string, what: string, got: unknown): void =>
    assertArgument(holds, 'lr_scheduler', `expected ${expected} for ${what}, got ${String(got)}`);
  const isWhole = (value: number | undefined): boolean =>
    value === undefined || (Number.isSafeInteger(value) && value >= 0);
  need(Number.isFinite(learningRate) && learningRate >= 0, 'a number ≥ 0', 'learning_rate', learningRate);
  need(isWhole(totalSteps), 'a whole number ≥ 0', 'the number of steps', totalSteps);
  need(isWhole(warmupSteps), 'a whole number ≥ 0', 'warmup_steps', warmupSteps);
  need(warmupRatio >= 0 && warmupRatio <= 1, 'a number within 0…1', 'warmup_ratio', warmupRatio);
  need(
    minLearningRateRatio >= 0 && minLearningRateRatio <= 1,
    'a number within 0…1',
    'the minimal learning rate ratio',
    minLearningRateRatio,
  );
  need(Number.isFinite(numCycles) && numCycles > 0, 'a number > 0', SETTINGS.numCycles.key, numCycles);
  need(Number.isFinite(power) && power > 0, 'a number > 0', SETTINGS.power.key, power);
  need(Number.isFinite(timescale) && timescale > 0, 'a number > 0', SETTINGS.timescale.key, timescale);
  need(
    isWhole(numDecaySteps) && numDecaySteps <= totalSteps,
    `a whole number within 0…${totalSteps}`,
    SETTINGS.numDecaySteps.key,
    numDecaySteps,
  );
  if (!(SCHEDULE_NAMES as readonly string[]).includes(name)) return; // shapeOf refuses it
  for (const [setting, { key, of }] of Object.entries(SETTINGS)) {
    const own = options[setting as keyof typeof SETTINGS];
    need(
      own === undefined ||
        (setting === 'minLearningRateRatio' && own === 0) ||
        (of as readonly string[]).includes(name),
      `lr_scheduler ${of.join(' or ')}`,
      `${key} ${String(own)}`,
      name,
    );
  }
}
