import { QdyloraError, type Backend } from '@qdylora/contract';
import { availableBytes, fileReserver } from '@qdylora/cpu-kernels';
import { createBatches, type Batches } from '@qdylora/data';
import {
  attachDyLora,
  rankSampler,
  type AdapterConfig,
  type Adapted,
  type RankSampler,
} from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import type { ComputeDtype, Parameter, Recompute } from '@qdylora/tensor';
import {
  createOptimizer,
  isPaged,
  learningRateSchedule,
  type LearningRateSchedule,
  type Optimizer,
  type PagingOptions,
  type TrainOptions,
} from '@qdylora/trainer';
import type { RunConfig } from '../../config/resolve-run.ts';
import { attachAdapter, type Warn } from '../adapter/attach-adapter.ts';
import type { RunData } from './load-data.ts';
import type { ModelSource } from '../opening/open-source.ts';
import { readAdapter } from '../adapter/read-adapter.ts';
import { recomputeText, resolveRecompute } from '../memory-plan/resolve-recompute.ts';

/** Everything that `train` takes but events, evaluation and saving. */
export interface AssembledRun {
  readonly model: CausalLm;
  /** Null for full training. */
  readonly adapted: Adapted<CausalLm> | null;
  readonly batches: Batches;
  readonly totalSteps: number;
  readonly training: Pick<
    TrainOptions,
    | 'model'
    | 'batches'
    | 'sampler'
    | 'optimizer'
    | 'schedule'
    | 'totalSteps'
    | 'maxGradNorm'
    | 'seed'
    | 'computeDtype'
    | 'recompute'
  >;
}

export interface AssembleOptions {
  readonly backend: Backend;
  readonly computeDtype: ComputeDtype;
  readonly warn: Warn;
  readonly signal?: AbortSignal;
  /** What the whole process would need; null where nobody can say. */
  readonly needOf: ((run: AssembledRun, recompute: Recompute) => Promise<number>) | null;
}

/** Builds the model, puts the adapters around it, and lays out batches, optimizer and schedule. */
export async function assembleRun(
  config: RunConfig,
  source: ModelSource,
  data: RunData,
  { backend, computeDtype, warn, signal, needOf }: AssembleOptions,
): Promise<AssembledRun> {
  const batches = batchesOf(config, data);
  const totalSteps = stepsOf(config, batches);
  // the schedule refuses settings of another one: before a model is built
  const schedule = scheduleOf(config, totalSteps);
  const model = await source.build(backend, signal);
  const adapted = config.method === 'none' ? null : adaptedOf(model, config, source.fingerprint, warn);
  const run: AssembledRun = {
    model,
    adapted,
    batches,
    totalSteps,
    training: {
      model: adapted ?? model,
      batches,
      totalSteps,
      sampler: adapted && samplerOf(adapted, config),
      optimizer: optimizerOf(adapted?.parameters() ?? model.parameters(), config),
      schedule,
      maxGradNorm: config.maxGradNorm || null,
      seed: config.seed,
      computeDtype,
    },
  };
  warnOfNoRate(run, warn);
  warnOfWarmup(config, { totalSteps, warmupSteps: schedule.warmupSteps }, warn);
  const recompute = await resolveRecompute(
    config.gradientCheckpointing,
    model.config.layers,
    needOf && ((own) => needOf(run, own)),
  );
  if (typeof config.gradientCheckpointing === 'string')
    warn(
      `gradient_checkpointing ${config.gradientCheckpointing}: ` +
        `${recomputeText(recompute, model.config.layers)}.`,
    );
  return { ...run, training: { ...run.training, recompute } };
}

function stepsOf({ maxSteps, numEpochs }: RunConfig, { stepsPerEpoch }: Batches): number {
  const steps = maxSteps ?? Math.ceil(numEpochs * stepsPerEpoch);
  if (Number.isSafeInteger(steps)) return steps;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'num_epochs',
    problem: `expected at most 2^53 steps, got ${numEpochs} times ${stepsPerEpoch}`,
    nextStep: 'Lower it, or say how many steps with max_steps.',
    details: { numEpochs, stepsPerEpoch },
  });
}

/** A warm-up that the run does not have, or that is not over when it ends. */
function warnOfWarmup(
  { lrScheduler, warmupSteps: asked, warmupRatio }: RunConfig,
  { totalSteps, warmupSteps }: { readonly totalSteps: number; readonly warmupSteps: number },
  warn: Warn,
): void {
  if (lrScheduler === 'constant') {
    if (asked || warmupRatio)
      warn(
        `lr_scheduler constant has no warm-up, so ` +
          `${asked ? `warmup_steps ${asked}` : `warmup_ratio ${warmupRatio}`} does nothing: ` +
          `constant_with_warmup has one.`,
      );
  } else if (warmupSteps >= totalSteps && totalSteps > 1) {
    warn(
      `The warm-up of ${warmupSteps} steps is not over when the run of ${totalSteps} steps ends: the ` +
        `learning rate never reaches learning_rate. Lower warmup_steps or warmup_ratio, or train for more ` +
        `steps.`,
    );
  }
}

/**
 * The first step of a warm-up has rate 0, as in transformers: a run of that step alone would learn nothing,
 * and look as if it had.
 */
function warnOfNoRate({ totalSteps, training: { schedule } }: AssembledRun, warn: Warn): void {
  if (totalSteps === 0 || hasRate(schedule, totalSteps)) return;
  warn(
    `Every one of the ${totalSteps} step${totalSteps === 1 ? '' : 's'} has learning rate 0, so nothing ` +
      `will be learned: the warm-up begins at 0. Train for more steps, or set warmup_steps: 0.`,
  );
}

function hasRate(schedule: LearningRateSchedule, totalSteps: number): boolean {
  for (let step = 0; step < totalSteps; step++) if (schedule.at(step) > 0) return true;
  return false;
}

export const batchesOf = (
  { microBatchSize, gradientAccumulationSteps, seed, packing, maxSeqLength, groupByLength }: RunConfig,
  { training }: RunData,
): Batches =>
  createBatches(training, {
    microBatchSize,
    gradientAccumulationSteps,
    shuffle: true,
    seed,
    packing,
    maxSeqLength,
    groupByLength,
  });

function adaptedOf(model: CausalLm, config: RunConfig, fingerprint: string, warn: Warn): Adapted<CausalLm> {
  const own = adapterConfigOf(config);
  return config.adapter
    ? attachAdapter(model, readAdapter(config.adapter), { fingerprint, warn }, own)
    : attachDyLora(model, own);
}

/** What a run says of its adapter. */
export const adapterConfigOf = ({
  ranks,
  loraAlpha: alpha,
  loraScaling: scaling,
  targetModules,
  updateRule,
  loraDropout: dropout,
  seed,
}: RunConfig): AdapterConfig => ({ ranks: ranks!, alpha, scaling, targetModules, updateRule, dropout, seed });

/** One rank alone needs no sampler: the trainer takes the largest. */
export const samplerOf = (
  { ranks }: Adapted<CausalLm>,
  {
    rankDistribution: distribution,
    rankSchedule: schedule,
    rankSegments: segments,
    rankLossWeights: lossWeights,
    seed,
  }: RunConfig,
): RankSampler | null =>
  ranks.ranks.length === 1
    ? null
    : rankSampler(ranks, { distribution, schedule, segments, lossWeights, seed });

/** Undefined where it was left out, so that the default is the optimizer's or the schedule's own. */
const given = <T>(value: T | null): T | undefined => value ?? undefined;

/** @param open where pages rest instead of a file: for a plan */
export const optimizerOf = (
  parameters: readonly Parameter[],
  config: RunConfig,
  open?: PagingOptions['open'],
): Optimizer =>
  createOptimizer(config.optimizer, parameters, {
    learningRate: config.learningRate,
    weightDecay: config.weightDecay,
    beta1: given(config.adamBeta1),
    beta2: given(config.adamBeta2),
    epsilon: given(config.adamEpsilon),
    paging: pagingOf(config, open),
  });

/** Share of the free memory that optimizer states may take where nobody says how much. */
const BUDGET_SHARE = 1 / 2;

const pagingOf = (
  { optimizer, optimizerMemoryBudget, pageDir, outputDir }: RunConfig,
  open?: PagingOptions['open'],
): PagingOptions | undefined =>
  isPaged(optimizer)
    ? {
        budgetBytes: optimizerMemoryBudget ?? Math.floor(availableBytes() * BUDGET_SHARE),
        folder: pageDir ?? outputDir ?? '.',
        reserve: fileReserver(),
        open,
      }
    : undefined;

const scheduleOf = (
  { lrScheduler: name, learningRate, warmupSteps, warmupRatio, minLearningRateRatio, ...config }: RunConfig,
  totalSteps: number,
) =>
  learningRateSchedule({
    name,
    learningRate,
    totalSteps,
    warmupSteps: given(warmupSteps),
    warmupRatio: given(warmupRatio),
    minLearningRateRatio,
    numCycles: given(config.lrNumCycles),
    power: given(config.lrPower),
    timescale: given(config.lrTimescale),
    numDecaySteps: given(config.lrNumDecaySteps),
  });
