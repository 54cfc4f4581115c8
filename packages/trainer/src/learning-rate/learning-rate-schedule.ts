import {
  anyValue,
  assertArgument,
  checkOptions,
  numberWithin,
  QdyloraError,
  required,
  type OptionRules,
} from '@qdylora/contract';
import {
  constant,
  constantWithWarmup,
  cosine,
  cosineWithRestarts,
  inverseSqrt,
  linear,
  polynomial,
  warmupStableDecay,
  type ScheduleShape,
} from './schedule-shapes.ts';

/** Names as in `lr_scheduler_type` of transformers. */
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
/** The name of a learning rate schedule. */
export type ScheduleName = (typeof SCHEDULE_NAMES)[number];

/** Options of `learningRateSchedule`: the shape of the curve, its peak, and its warm-up. */
export interface ScheduleOptions {
  readonly name: ScheduleName;
  /** Peak learning rate. */
  readonly learningRate: number;
  /** Optimizer steps of the whole run. */
  readonly totalSteps: number;
  /**
   * Steps of linear increase from 0; takes precedence over `warmupRatio`. `constant` has no warm-up, as in
   * transformers.
   */
  readonly warmupSteps?: number;
  /** Warm-up as a share of all steps, rounded up; 0 by default. */
  readonly warmupRatio?: number;
  /**
   * Final rate of cosine, polynomial and warmup_stable_decay, as a share of the peak; other schedules accept
   * only 0. 0 by default; for polynomial a rate of 1e-7, as in transformers.
   */
  readonly minLearningRateRatio?: number;
  /** Waves of cosine (0.5 by default), or cycles of cosine_with_restarts (1 by default). */
  readonly numCycles?: number;
  /** Exponent of polynomial; 1 by default: a straight line. */
  readonly power?: number;
  /** Steps until inverse_sqrt falls to 1/√2; the warm-up's length by default, 10,000 without a warm-up. */
  readonly timescale?: number;
  /** Steps of the decay of warmup_stable_decay; a tenth of all steps by default. */
  readonly numDecaySteps?: number;
}

/** Names only; `checkSchedule` checks the values. */
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

/** Final rate of transformers' polynomial schedule. */
const POLYNOMIAL_END = 1e-7;

/**
 * Settings of some schedules; the others refuse them, since they would have no effect. `key` is the setting's
 * name in the config.
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
 * The learning rate of each optimizer step (0 = the first). A pure function of the step, so a resumed run
 * needs nothing saved.
 */
export interface LearningRateSchedule {
  readonly warmupSteps: number;
  at(step: number): number;
}

/**
 * Creates a schedule of transformers by its name.
 *
 * @throws QdyloraError BAD_ARGUMENT for an unknown name, numbers outside their range, or a setting that the
 * schedule does not have.
 * @example
 * const options = { learningRate: 2e-4, totalSteps: 100, warmupRatio: 0.03 };
 * learningRateSchedule({ name: 'cosine', ...options }).at(3); // 2e-4
 */
export function learningRateSchedule(options: ScheduleOptions): LearningRateSchedule {
  checkOptions('lr_scheduler', options, OPTIONS);
  checkSchedule(options);
  const { learningRate, totalSteps, warmupRatio = 0 } = options;
  const warmupSteps = options.warmupSteps ?? Math.ceil(totalSteps * warmupRatio);
  const shape = shapeOf(options);
  return { warmupSteps, at: (step) => learningRate * shape(step, { warmupSteps, totalSteps }) };
}

function shapeOf(options: ScheduleOptions): ScheduleShape {
  const { name, learningRate, minLearningRateRatio, numCycles: cycles, numDecaySteps: decaySteps } = options;
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
        power: options.power,
        minimum: minLearningRateRatio ?? (learningRate > 0 ? Math.min(1, POLYNOMIAL_END / learningRate) : 0),
      });
    case 'inverse_sqrt':
      return inverseSqrt({ timescale: options.timescale });
    case 'warmup_stable_decay':
      return warmupStableDecay({ minimum, decaySteps });
    default:
      throw new QdyloraError('BAD_ARGUMENT', {
        where: 'lr_scheduler',
        problem: `There is no schedule named ${String(name)}`,
        nextStep: `The names are ${SCHEDULE_NAMES.join(', ')}.`,
      });
  }
}

function checkSchedule(options: ScheduleOptions): void {
  const { name, learningRate, totalSteps, warmupSteps } = options;
  const { warmupRatio = 0, minLearningRateRatio = 0, numDecaySteps = 0 } = options;
  requireThat(
    Number.isFinite(learningRate) && learningRate >= 0,
    `\`learning_rate\` must be a number of at least 0 (got ${String(learningRate)})`,
  );
  requireThat(
    isCount(totalSteps),
    `The number of steps must be a whole number of at least 0 (got ${String(totalSteps)})`,
  );
  requireThat(
    warmupSteps === undefined || isCount(warmupSteps),
    `\`warmup_steps\` must be a whole number of at least 0 (got ${String(warmupSteps)})`,
  );
  requireShare('warmup_ratio', warmupRatio);
  requireShare(SETTINGS.minLearningRateRatio.key, minLearningRateRatio);
  for (const setting of ['numCycles', 'power', 'timescale'] as const) {
    const value = options[setting] ?? 1;
    requireThat(
      Number.isFinite(value) && value > 0,
      `\`${SETTINGS[setting].key}\` must be greater than 0 (got ${value})`,
    );
  }
  requireThat(
    isCount(numDecaySteps) && numDecaySteps <= totalSteps,
    `\`${SETTINGS.numDecaySteps.key}\` must be a whole number between 0 and ${totalSteps} ` +
      `(got ${numDecaySteps})`,
  );
  if (SCHEDULE_NAMES.includes(name)) checkSettings(options); // `shapeOf` refuses another name
}

/** Refuses settings that the named schedule does not have. */
function checkSettings(options: ScheduleOptions): void {
  for (const [setting, { key, of }] of Object.entries(SETTINGS)) {
    const value = options[setting as keyof typeof SETTINGS];
    const hasNoEffect = value === undefined || (setting === 'minLearningRateRatio' && value === 0);
    requireThat(
      hasNoEffect || (of as readonly ScheduleName[]).includes(options.name),
      `\`${key}\` has no effect with lr_scheduler ${options.name}`,
      `Leave it out, or choose ${of.join(' or ')}.`,
    );
  }
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

const requireShare = (key: string, value: number): void =>
  requireThat(value >= 0 && value <= 1, `\`${key}\` must be between 0 and 1 (got ${value})`);

const requireThat = (holds: boolean, problem: string, nextStep?: string): void =>
  assertArgument(holds, 'lr_scheduler', problem, nextStep);
