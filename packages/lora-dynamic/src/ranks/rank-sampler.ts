import {
  anyValue,
  assertArgument,
  checkOptions,
  createRng,
  objectWith,
  oneOf,
  orNull,
  QdyloraError,
  required,
  shownValue,
  wholeNumber,
  type OptionRules,
} from '@qdylora/contract';
import { rankProbabilities, type RankDistribution } from './rank-distribution.ts';
import type { RankSet } from './rank-set.ts';

/**
 * The ranks of the parts of one optimizer step.
 * - `one`: a single sampled rank (Valipour et al. 2023, as in QDyLoRA).
 * - `each`: each part samples its own rank.
 * - `stratified`: the samples of the parts are spread evenly over the distribution.
 * - `sandwich`: every second part uses the largest rank, the others one sampled rank.
 * - `all`: the whole batch runs once at every rank.
 *
 * A part is a micro batch, or some of its examples (`segments`). Only `all` and distillation run a token more
 * than once.
 */
export type RankSchedule = 'one' | 'each' | 'stratified' | 'sandwich' | 'all';
/** Every `RankSchedule`, for checks and messages. */
export const RANK_SCHEDULES: readonly RankSchedule[] = ['one', 'each', 'stratified', 'sandwich', 'all'];

/**
 * The rank that learns from the largest one in a sandwich.
 * - `smallest`: the parts of the largest rank run once more, at the smallest rank. All other parts run as
 *   without distillation, so of p parts the step runs p/2 more.
 * - `drawn`: each micro batch runs at the largest rank and at the drawn one.
 * - `both`: all parts run at the largest rank. Every second part runs once more at the smallest rank. The
 *   others run once more at the drawn rank, unless that is the largest. Of p parts the step runs p/2 to p
 *   more.
 */
export type DistillationStudent = (typeof DISTILLATION_STUDENTS)[number];
/** Every `DistillationStudent`, for checks and messages. */
export const DISTILLATION_STUDENTS = ['smallest', 'drawn', 'both'] as const;

/**
 * Distillation of a step's largest rank into a smaller one: both run over the same rows, and the smaller rank
 * learns (1 − weight)·CE + weight·KL from the largest rank's predictions.
 */
export interface Distillation {
  /** Share of the divergence in the loss of the student, within (0, 1]. */
  readonly weight: number;
  /** Classes of each token that are compared one by one; all others are one class. */
  readonly topK: number;
  /** Default `smallest`. */
  readonly student?: DistillationStudent;
}

/** Options of `rankSampler`: the distribution of the ranks, and how a step is divided among them. */
export interface RankSamplerOptions {
  /** Default `uniform`. */
  readonly distribution?: RankDistribution;
  readonly seed: number;
  /** Default `one`. */
  readonly schedule?: RankSchedule;
  /**
   * Parts of each micro batch, cut between examples. Default: 2 if a step has a single micro batch and its
   * parts get different ranks, otherwise 1. `one`, `all` and the student `drawn` always use 1.
   */
  readonly segments?: number | null;
  /** Factor on the loss of each rank, in the set's order; default 1. */
  readonly lossWeights?: readonly number[] | null;
  /** Only with the schedule `sandwich`; the student `drawn` allows no `segments`. Default null. */
  readonly distillation?: Distillation | null;
}

/** The ranks of every part of every step, with the factors on their losses. */
export interface RankSampler {
  readonly schedule: RankSchedule;
  /** If set: a part that runs at two ranks trains the second one on the predictions of the first. */
  readonly distillation?: Distillation | null;
  /**
   * The sampled rank of a step: a pure function of (seed, step), the same on every machine and after every
   * resume.
   */
  rankAt(step: number): number;
  /** Number of parts of each micro batch. An example is never split, so there may be fewer. */
  segmentsOf(microBatches: number): number;
  /** The ranks at which part `part` of `parts` runs, in order. */
  ranksOfPart(step: number, part: number, parts: number): readonly number[];
  /** Factor on the loss of a pass at `rank`. */
  lossWeightOf(rank: number): number;
}

const OPTIONS: OptionRules<RankSamplerOptions> = {
  distribution: anyValue,
  seed: required(wholeNumber()),
  schedule: anyValue,
  segments: anyValue,
  lossWeights: anyValue,
  distillation: orNull(objectWith()),
};

/**
 * Samples the ranks of training steps.
 *
 * @throws QdyloraError BAD_ARGUMENT for an unknown schedule or distribution, or invalid weights
 * @example
 * const sampler = rankSampler(rankSet([1, 2, 4, 8]), { distribution: 'uniform', seed: 7 });
 * sampler.rankAt(0); // the same on every machine
 */
export function rankSampler(set: RankSet, options: RankSamplerOptions): RankSampler {
  assertRankSet(set);
  checkOptions('rankSampler', options, OPTIONS);
  const {
    distribution = 'uniform',
    seed,
    schedule = 'one',
    segments = null,
    lossWeights = null,
    distillation = null,
  } = options;
  if (!RANK_SCHEDULES.includes(schedule)) {
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'rank_schedule',
      problem: `the schedule must be one of ${RANK_SCHEDULES.join(', ')} (got ${String(schedule)})`,
    });
  }
  if (segments !== null && !(Number.isSafeInteger(segments) && segments >= 1))
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'rank_segments',
      problem: `the number of segments must be a whole number ≥ 1 (got ${shownValue(segments)})`,
    });
  checkLossWeights(set, lossWeights);
  if (distillation) checkDistillation(set, distillation, { schedule, segments });
  const rankOf = rankByNumber(set, rankProbabilities(set, distribution));
  const rng = createRng(seed).named('rank');
  const partRng = rng.named('part');
  const rankAt = (step: number): number => rankOf(rng.uniform(step));
  const student = distillation && (distillation.student ?? 'smallest');
  const partsDiffer = schedule !== 'one' && schedule !== 'all' && student !== 'drawn';
  return {
    schedule,
    distillation,
    rankAt,
    segmentsOf: (microBatches) => (partsDiffer ? (segments ?? (microBatches === 1 ? 2 : 1)) : 1),
    lossWeightOf: (rank) => lossWeights?.[set.ranks.indexOf(rank)] ?? 1,
    ranksOfPart(step, part, parts) {
      switch (schedule) {
        case 'all':
          return set.ranks;
        case 'sandwich':
          return ranksInSandwich(set, rankAt(step), { student, isDrawn: parts === 1 || part % 2 === 1 });
        case 'stratified':
          return [rankOf((rng.uniform(step) + part / parts) % 1)];
        case 'each':
          return [part === 0 ? rankAt(step) : rankOf(partRng.uniform(step, part))];
        case 'one':
          return [rankAt(step)];
      }
    },
  };
}

/** Maps a uniform number of [0, 1) to a rank, each rank with its probability. */
const rankByNumber =
  ({ ranks }: RankSet, probabilities: readonly number[]) =>
  (u: number): number => {
    let remaining = u;
    for (const [i, probability] of probabilities.entries()) {
      remaining -= probability;
      if (remaining < 0) return ranks[i];
    }
    // by rounding, the probabilities may sum to slightly less than u
    return ranks[probabilities.findLastIndex((probability) => probability > 0)];
  };

/** The ranks of a part in a sandwich. `isDrawn`: the part is one of those at the drawn rank. */
function ranksInSandwich(
  { maxRank, ranks }: RankSet,
  drawnRank: number,
  { student, isDrawn }: { readonly student: DistillationStudent | null; readonly isDrawn: boolean },
): readonly number[] {
  if (student === 'drawn') return [maxRank, drawnRank];
  if (!isDrawn) return student ? [maxRank, ranks[0]] : [maxRank];
  return student === 'both' && drawnRank !== maxRank ? [maxRank, drawnRank] : [drawnRank];
}

/** Refuses a plain list of ranks, which other functions accept. */
function assertRankSet(set: Partial<RankSet> | null | undefined): void {
  assertArgument(
    Array.isArray(set?.ranks),
    'rankSampler',
    `the first argument must be a set of ranks (got ${shownValue(set)})`,
    'Pass rankSet([1, 2, 4, 8]), or adapted.ranks.',
  );
}

const DISTILLATION: OptionRules<Distillation> = {
  weight: required(anyValue),
  topK: required(anyValue),
  student: oneOf(DISTILLATION_STUDENTS),
};

function checkDistillation(
  { ranks }: RankSet,
  distillation: Distillation,
  { schedule, segments }: { readonly schedule: RankSchedule; readonly segments: number | null },
): void {
  checkOptions('rankSampler, distillation', distillation, DISTILLATION);
  const { weight, topK, student } = distillation;
  const refuse = (problem: string, nextStep?: string): QdyloraError =>
    new QdyloraError('BAD_ARGUMENT', { where: 'distillation', problem, nextStep });
  if (!(weight > 0 && weight <= 1))
    throw refuse(`the weight must be greater than 0 and at most 1 (got ${shownValue(weight)})`);
  if (!(Number.isSafeInteger(topK) && topK >= 1))
    throw refuse(`topK must be a whole number ≥ 1 (got ${shownValue(topK)})`);
  if (ranks.length === 1)
    throw refuse(`rank ${ranks[0]} has no other rank to learn from`, 'Use several ranks.');
  if (schedule !== 'sandwich')
    throw refuse(
      `a step of the schedule ${schedule} has no largest rank to learn from`,
      'Choose the schedule sandwich.',
    );
  if (student === 'drawn' && segments !== null)
    throw refuse('micro batches run whole at both ranks, so `segments` has no meaning', 'Leave it out.');
}

function checkLossWeights({ ranks }: RankSet, weights: readonly number[] | null): void {
  if (
    weights === null ||
    (weights.length === ranks.length && weights.every((weight) => Number.isFinite(weight) && weight > 0))
  )
    return;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'rank_loss_weights',
    problem:
      `there must be one weight > 0 for each of the ranks ${ranks.join(', ')} ` +
      `(got ${JSON.stringify(weights)})`,
    nextStep: 'A rank that should not be trained gets weight 0 in rank_distribution.',
  });
}
