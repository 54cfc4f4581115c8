import type { Backend } from '@qdylora/contract';
import { availableBytes, fileReserver } from '@qdylora/cpu-kernels';
import type { Batches } from '@qdylora/data';
import {
  attachDyLora,
  levelSampler,
  matcherOf,
  rankSampler,
  scaleAt,
  type AdapterConfig,
  type AdapterState,
  type Adapted,
  type LevelSampler,
  type RankSampler,
} from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { STORED_LEVEL } from '@qdylora/quant';
import type { ComputeDtype, Recompute } from '@qdylora/tensor';
import {
  adapterRowRates,
  createOptimizer,
  isPaged,
  prefixPreconditioner,
  type Optimizer,
  type PagingOptions,
  type Preconditioner,
  type RowRates,
  type TrainOptions,
} from '@qdylora/trainer';
import type { RunConfig } from '../../config/resolve-run.ts';
import { attachAdapter, type BaseFacts } from '../adapter/attach-adapter.ts';
import { readAdapter } from '../adapter/read-adapter.ts';
import { unadaptableModules } from '../adapter/unadaptable-modules.ts';
import { recomputeText, resolveRecompute } from '../memory-plan/resolve-recompute.ts';
import { offloadOf } from './offload-of.ts';
import type { RatedConfig } from './steps/default-learning-rate.ts';
import type { StepLayout } from './steps/lay-out-steps.ts';
import type { Warn } from '../hooks.ts';

/** Everything that `train` takes except events, evaluation and saving. */
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
    | 'levels'
    | 'optimizer'
    | 'schedule'
    | 'wideSteps'
    | 'totalSteps'
    | 'maxGradNorm'
    | 'preconditioner'
    | 'lossScaling'
    | 'seed'
    | 'computeDtype'
    | 'recompute'
    | 'offload'
  >;
}

/** A model with the adapter that is trained; null for full training. */
export interface ModelToTrain {
  readonly model: CausalLm;
  readonly adapted: Adapted<CausalLm> | null;
}

export interface AssembleOptions {
  readonly warn: Warn;
  /** Bytes of the whole process with some layers recomputed; null for a backend that cannot be forecast. */
  readonly needOf: ((run: AssembledRun, recompute: Recompute) => Promise<number>) | null;
  /** Workers of the run on this host, which share its memory. */
  readonly workersOnHost: number;
}

/** Combines a model and its steps with the optimizer, the rank sampler and the layers to recompute. */
export async function assembleRun(
  config: RatedConfig & { readonly computeDtype: ComputeDtype },
  { model, adapted, batches, totalSteps, schedule }: ModelToTrain & StepLayout,
  { warn, needOf, workersOnHost }: AssembleOptions,
): Promise<AssembledRun> {
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
      wideSteps: Math.round((config.wideRatio ?? 0) * totalSteps),
      levels: adapted && levelSamplerOf(config, totalSteps),
      optimizer: optimizerOf({ model, adapted }, config, { workersOnHost }),
      schedule,
      maxGradNorm: config.maxGradNorm || null,
      preconditioner: adapted && preconditionerOf(adapted, config),
      lossScaling: config.computeDtype === 'f16' ? {} : null,
      seed: config.seed,
      computeDtype: config.computeDtype,
      offload: offloadOf(config, model.backend),
    },
  };
  const { gradientCheckpointing } = config;
  const { layers } = model.config;
  const recompute = await resolveRecompute(
    gradientCheckpointing,
    layers,
    needOf && ((candidate) => needOf(run, candidate)),
  );
  if (typeof gradientCheckpointing === 'string')
    warn(`gradient_checkpointing ${gradientCheckpointing}: ${recomputeText(recompute, layers)}.`);
  return { ...run, training: { ...run.training, recompute } };
}

/** Attaches a new adapter to a model, or the one that the run starts from; null for full training. */
export async function attachForTraining(
  model: CausalLm,
  config: RunConfig,
  facts: BaseFacts,
): Promise<Adapted<CausalLm> | null> {
  if (config.method === 'none') return null;
  const adapted = config.adapter
    ? await continueAdapter(model, config.adapter, facts, config)
    : attachDyLora(model, adapterConfigOf(config));
  if (!config.adapter) noticeUnadaptable(config, model, facts.warn);
  const { widerThanLayer } = adapted.report;
  if (widerThanLayer.length > 0)
    facts.warn(
      `lora_r ${config.loraR} is more than ${widerThanLayer.length} layers are wide ` +
        `(${widerThanLayer[0]}, …): allowed, as in PEFT; the rows beyond add nothing new there.`,
    );
  return adapted;
}

/** Says where an expression matches modules that get no adapter here. A list of names is refused for them. */
function noticeUnadaptable(
  { targetModules }: Pick<RunConfig, 'targetModules'>,
  { modelType, name }: CausalLm,
  warn: Warn,
): void {
  if (typeof targetModules !== 'string' || targetModules === 'all-linear') return;
  const matched = [...unadaptableModules(modelType, name).keys()].filter(matcherOf(targetModules));
  if (matched.length > 0)
    warn(
      `target_modules ${targetModules} also matches ${matched.join(' and ')}. The head and the embeddings ` +
        'cannot have an adapter here, so they are not trained.',
    );
}

/** Says where another alpha or scaling changes what the adapter computes before its first step. */
function noticeOtherScale(state: AdapterState, { config, ranks }: Adapted<CausalLm>, warn: Warn): void {
  for (const rank of [...ranks.ranks].reverse()) {
    const before = scaleAt(state.scaling, state.alpha, rank, state.maxRank);
    const now = scaleAt(config.scaling, config.alpha, rank, ranks.maxRank);
    if (Math.abs(now - before) <= 1e-6 * before) continue;
    return warn(
      `lora_alpha and lora_scaling are not those of the adapter: its scale at rank ${rank} was ` +
        `${before.toPrecision(3)} and is ${now.toPrecision(3)}, so it starts from another loss.`,
    );
  }
}

/** Attaches an adapter from disk, or its slice at the largest rank of the run, and says where it is from. */
async function continueAdapter(
  model: CausalLm,
  folder: string,
  facts: BaseFacts,
  config: RunConfig,
): Promise<Adapted<CausalLm>> {
  const adapter = readAdapter(folder);
  const adapted = await attachAdapter(model, adapter, facts, adapterConfigOf(config));
  const { ranks } = adapter.state;
  const rank = adapted.ranks.maxRank;
  const isPart = adapted.ranks.ranks.length < ranks.length;
  const part = isPart ? `rank ${rank} of ${folder}, which has the ranks ${ranks.join(', ')}` : folder;
  facts.warn(`The run starts from ${part}.`);
  const untrained = adapted.ranks.ranks.filter((each) => adapter.untrainedRanks.includes(each));
  if (untrained.length > 0)
    facts.warn(
      `Rank ${untrained.join(', ')} of ${folder} was exported between trained ranks, so no step has ` +
        'trained it yet. This run does.',
    );
  noticeOtherScale(adapter.state, adapted, facts.warn);
  const { optimizerState } = config;
  facts.warn(`The optimizer's moments start ${optimizerState ? `as in ${optimizerState}` : 'at 0'}.`);
  return adapted;
}

/** The adapter that a run's keys describe. */
export const adapterConfigOf = ({
  ranks,
  loraAlpha: alpha,
  loraScaling: scaling,
  targetModules,
  updateRule,
  loraDropout: dropout,
  seed,
}: RunConfig): AdapterConfig => ({ ranks: ranks!, alpha, scaling, targetModules, updateRule, dropout, seed });

/** The sampler of ranks; null for a single rank: the trainer then takes the largest. */
export const samplerOf = (
  { ranks }: Adapted<CausalLm>,
  {
    rankDistribution: distribution,
    rankSchedule: schedule,
    rankSegments: segments,
    rankLossWeights: lossWeights,
    distillation: weight,
    distillationTopK: topK,
    distillationStudent: student,
    seed,
  }: RunConfig,
): RankSampler | null => {
  const distillation = weight ? { weight, topK, student } : null;
  return ranks.ranks.length === 1
    ? null
    : rankSampler(ranks, {
        distribution: distribution ?? undefined,
        schedule,
        segments,
        lossWeights,
        distillation,
        seed,
      });
};

/** The sampler of quantization levels; null where the model has its 4 bits alone, or is not quantized. */
export const levelSamplerOf = (
  { quantization, quantizationLevels, levelSchedule: schedule, seed }: RunConfig,
  totalSteps: number,
): LevelSampler | null =>
  quantization === 'none' || quantizationLevels.every((level) => level === STORED_LEVEL)
    ? null
    : levelSampler(quantizationLevels, { schedule: schedule ?? undefined, seed, totalSteps });

/** What changes the gradients of a step; null: nothing does. */
export const preconditionerOf = (
  adapted: Adapted<CausalLm>,
  { preconditioner }: RunConfig,
): Preconditioner | null => (preconditioner === 'prefix' ? prefixPreconditioner(adapted) : null);

export const optimizerOf = (
  { model, adapted }: ModelToTrain,
  config: RatedConfig,
  place: PagingPlace = {},
): Optimizer =>
  createOptimizer(config.optimizer, adapted?.parameters() ?? model.parameters(), {
    learningRate: config.learningRate,
    weightDecay: config.weightDecay,
    // undefined: the default of this optimizer
    beta1: config.adamBeta1 ?? undefined,
    beta2: config.adamBeta2 ?? undefined,
    epsilon: config.adamEpsilon ?? undefined,
    rowRates: adapted ? rowRatesOf(adapted, config) : undefined,
    paging: pagingOf(config, model.backend, place),
  });

const rowRatesOf = (
  adapted: Adapted<CausalLm>,
  { loraplusLrRatio: bRatio, rankRates, rateRanks, wideRates }: RunConfig,
): RowRates =>
  adapterRowRates(adapted, {
    bRatio,
    rankRates: rankRates ?? undefined,
    rateRanks: rateRanks ?? undefined,
    wideRates: wideRates ?? undefined,
  });

/** Share of the free memory that optimizer states may take where `optimizer_memory_budget` is not set. */
const BUDGET_SHARE = 1 / 2;

export interface PagingPlace {
  /** Opens the page store; by default a file. A plan passes one without bytes. */
  readonly open?: PagingOptions['open'];
  /** Workers of the run on this host. Default: 1. */
  readonly workersOnHost?: number;
  /** Free bytes of the host; by default as the system says. */
  readonly available?: () => number;
}

/** Beside a device pages rest in pinned memory, and one moves while another is updated. */
export const pagingOf = (
  { optimizer, optimizerMemoryBudget, pageDir, outputDir }: RunConfig,
  { memory, openPageStore }: Pick<Backend, 'memory' | 'openPageStore'>,
  { open, workersOnHost = 1, available = availableBytes }: PagingPlace = {},
): PagingOptions | undefined => {
  if (!isPaged(optimizer)) return undefined;
  // each worker has a device of its own, but the memory of the host together with the others
  const freeBytes = memory.freeBytes?.() ?? available() / workersOnHost;
  return {
    budgetBytes: optimizerMemoryBudget ?? Math.floor(freeBytes * BUDGET_SHARE),
    isDoubleBuffered: openPageStore !== undefined,
    folder: pageDir ?? outputDir ?? '.',
    reserve: fileReserver(),
    open,
  };
};
