import type { Backend } from '@qdylora/contract';
import { createBatches, type Batches } from '@qdylora/data';
import { attachDyLora, rankSampler, type Adapted, type RankSampler } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import type { ComputeDtype, Parameter } from '@qdylora/tensor';
import { createOptimizer, learningRateSchedule, type TrainOptions } from '@qdylora/trainer';
import type { RunConfig } from '../../config/resolve-run.ts';
import { attachAdapter, type Warn } from './attach-adapter.ts';
import type { RunData } from './load-data.ts';
import type { ModelSource } from './open-source.ts';
import { readAdapter } from './read-adapter.ts';

/** Everything that `train` takes but events, evaluation and saving. */
export interface AssembledRun {
  readonly model: CausalLm;
  /** Null for full training. */
  readonly adapted: Adapted<CausalLm> | null;
  readonly batches: Batches;
  readonly totalSteps: number;
  readonly training: Pick<TrainOptions, 'model' | 'batches' | 'sampler' | 'optimizer' | 'schedule' | 'totalSteps' | 'maxGradNorm' | 'seed' | 'computeDtype' | 'recompute'>;
}

export interface AssembleOptions { readonly backend: Backend; readonly computeDtype: ComputeDtype; readonly warn: Warn }

/** Builds the model, puts the adapters around it, and lays out batches, optimizer and schedule. */
export async function assembleRun(config: RunConfig, source: ModelSource, data: RunData, { backend, computeDtype, warn }: AssembleOptions): Promise<AssembledRun> {
  const batches = batchesOf(config, data), totalSteps = config.maxSteps ?? Math.ceil(config.numEpochs * batches.stepsPerEpoch);
  const model = await source.build(backend), adapted = config.method === 'none' ? null : adaptedOf(model, config, source.fingerprint, warn);
  return {
    model, adapted, batches, totalSteps,
    training: {
      model: adapted ?? model, batches, totalSteps, sampler: adapted && samplerOf(adapted, config), optimizer: optimizerOf(adapted?.parameters() ?? model.parameters(), config),
      schedule: scheduleOf(config, totalSteps), maxGradNorm: config.maxGradNorm || null, seed: config.seed, computeDtype, recompute: config.gradientCheckpointing,
    },
  };
}

export const batchesOf = ({ microBatchSize, gradientAccumulationSteps, seed, packing, maxSeqLength, groupByLength }: RunConfig, { training }: RunData): Batches =>
  createBatches(training, { microBatchSize, gradientAccumulationSteps, shuffle: true, seed, packing, maxSeqLength, groupByLength });

function adaptedOf(model: CausalLm, config: RunConfig, fingerprint: string, warn: Warn): Adapted<CausalLm> {
  const { ranks, loraAlpha: alpha, loraScaling: scaling, targetModules, updateRule, loraDropout: dropout, seed } = config, own = { ranks: ranks!, alpha, scaling, targetModules, updateRule, dropout, seed };
  return config.adapter ? attachAdapter(model, readAdapter(config.adapter), { fingerprint, warn }, own) : attachDyLora(model, own);
}

/** One rank alone needs no sampler: the trainer takes the largest. */
const samplerOf = ({ ranks }: Adapted<CausalLm>, { rankDistribution: distribution, rankSchedule: schedule, seed }: RunConfig): RankSampler | null =>
  (ranks.ranks.length === 1 ? null : rankSampler(ranks, { distribution, schedule, seed }));

const optimizerOf = (parameters: readonly Parameter[], { optimizer, learningRate, weightDecay }: RunConfig) => createOptimizer(optimizer, parameters, { learningRate, weightDecay });

const scheduleOf = ({ lrScheduler: name, learningRate, warmupSteps, warmupRatio, minLearningRateRatio }: RunConfig, totalSteps: number) =>
  learningRateSchedule({ name, learningRate, totalSteps, warmupSteps: warmupSteps ?? undefined, warmupRatio, minLearningRateRatio });
