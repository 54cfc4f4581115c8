import {
  anyValue,
  checkOptions,
  createRng,
  QdyloraError,
  required,
  shownValue,
  wholeNumber,
  type OptionRules,
} from '@qdylora/contract';
import { QUANTIZATION_LEVELS, STORED_LEVEL } from '@qdylora/quant';

/**
 * The quantization level of each optimizer step.
 * - `distilled`: all steps are at the anchor level. In one of every two, the parts that a smaller rank learns
 *   from run once more, at the drawn rank and at a level drawn from the rest. They learn from the predictions
 *   of the largest rank at the anchor (distillation).
 *   Their gradients have a small weight, so the other levels hardly cost the anchor anything.
 * - `sampled`: of every two steps one, in random order, is at the anchor level, the other at a level drawn
 *   from the rest. Ranks are drawn independently. So with the rank schedule `sandwich` (half of the parts of
 *   each step at the largest rank) every pair of rank and level is trained.
 * - `descending`: from most bits to fewest, each for the same number of steps.
 * - `feedback`: starts with most bits. Each evaluation that does not improve the held-out loss moves the run
 *   to the next level with fewer bits (the "predefined learning feedback" of Rajabzadeh et al. 2024,
 *   section 5).
 */
export type LevelSchedule = 'distilled' | 'sampled' | 'descending' | 'feedback';
/** Every `LevelSchedule`, for checks and messages. */
export const LEVEL_SCHEDULES: readonly LevelSchedule[] = ['distilled', 'sampled', 'descending', 'feedback'];

/** Options of `levelSampler`: the schedule of the levels, and its seed. */
export interface LevelSamplerOptions {
  /** Default `sampled`. */
  readonly schedule?: LevelSchedule;
  readonly seed: number;
  /** Steps of the run; `descending` needs it. */
  readonly totalSteps?: number;
}

/** The quantization level, in bits, of every step of a run. */
export interface LevelSampler {
  readonly schedule: LevelSchedule;
  /** Ascending. */
  readonly levels: readonly number[];
  /** The level that evaluations use: 4 bits if it is in the list, otherwise the one with most bits. */
  readonly anchor: number;
  /**
   * The level of a step: a pure function of the seed, the step and the number of evaluations so far that did
   * not improve. Only `feedback` reads the latter.
   */
  levelAt(step: number, plateaus: number): number;
  /**
   * Level of the extra passes that learn from the largest rank. If it equals the level of the step, there are
   * none.
   */
  studentLevelAt?(step: number): number;
}

const OPTIONS: OptionRules<LevelSamplerOptions> = {
  schedule: anyValue,
  seed: required(wholeNumber()),
  totalSteps: wholeNumber(),
};

/**
 * Chooses the quantization levels of training steps.
 *
 * @param levels different levels, some of 3, 4 and 8
 * @throws QdyloraError BAD_ARGUMENT for other levels, an unknown schedule, or `descending` without
 * `totalSteps`
 * @example
 * const levels = levelSampler([3, 4, 8], { seed: 7 });
 * levels.levelAt(0, 0); // the same on every machine
 */
export function levelSampler(levels: readonly number[], options: LevelSamplerOptions): LevelSampler {
  checkOptions('levelSampler', options, OPTIONS);
  const { schedule = 'sampled', seed, totalSteps } = options;
  assertLevels(levels);
  assertSchedule(schedule, totalSteps);
  const fewestBitsFirst = [...levels].sort((a, b) => a - b);
  const mostBitsFirst = fewestBitsFirst.toReversed();
  const last = mostBitsFirst.length - 1;
  const anchor = anchorLevel(levels);
  const others = fewestBitsFirst.filter((level) => level !== anchor);
  const rng = createRng(seed).named('level');
  const orderRng = rng.named('order');
  const isAnchored = (step: number): boolean => {
    const isSecond = orderRng.uniform(Math.floor(step / 2)) < 1 / 2;
    return (step % 2 === 1) === isSecond;
  };
  const sampled = (step: number): number =>
    others.length === 0 || isAnchored(step) ? anchor : others[Math.floor(rng.uniform(step) * others.length)]!;
  const levelAt: Readonly<Record<LevelSchedule, LevelSampler['levelAt']>> = {
    distilled: () => anchor,
    sampled,
    descending: (step) =>
      mostBitsFirst[Math.min(last, Math.floor((step * mostBitsFirst.length) / totalSteps!))],
    feedback: (_, plateaus) => mostBitsFirst[Math.min(last, plateaus)],
  };
  return {
    schedule,
    levels: fewestBitsFirst,
    anchor,
    levelAt: levelAt[schedule],
    ...(schedule === 'distilled' && { studentLevelAt: sampled }),
  };
}

/** The level of a list that evaluations use: 4 bits if it is there, otherwise the one with most bits. */
export const anchorLevel = (levels: readonly number[]): number =>
  levels.includes(STORED_LEVEL) ? STORED_LEVEL : Math.max(...levels);

function assertLevels(levels: readonly number[]): void {
  const areValid =
    Array.isArray(levels) &&
    levels.length > 0 &&
    new Set(levels).size === levels.length &&
    levels.every((level) => QUANTIZATION_LEVELS.includes(level as 4));
  if (!areValid)
    throw badLevels(
      `the levels must be different ones of ${QUANTIZATION_LEVELS.join(', ')} (got ${shownValue(levels)})`,
    );
}

function assertSchedule(schedule: LevelSchedule, totalSteps: number | undefined): void {
  if (!LEVEL_SCHEDULES.includes(schedule))
    throw badLevels(`the schedule must be one of ${LEVEL_SCHEDULES.join(', ')} (got ${String(schedule)})`);
  if (schedule === 'descending' && totalSteps === undefined)
    throw badLevels('the schedule descending needs `totalSteps`, the number of steps of the run');
}

const badLevels = (problem: string): QdyloraError =>
  new QdyloraError('BAD_ARGUMENT', { where: 'quantization_levels', problem });
