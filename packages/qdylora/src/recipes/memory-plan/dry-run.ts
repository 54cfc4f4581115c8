import {
  DTYPE_BYTES,
  elementCount,
  type DryBackend,
  type PageStore,
  type PartUsage,
} from '@qdylora/contract';
import { collate, type Example, type TokenBatch } from '@qdylora/data';
import { lossOver, type EvalView } from '@qdylora/eval';
import { attachDyLora, type Adapted, type LevelSampler, type RankSampler } from '@qdylora/lora-dynamic';
import { shapeModel, type CausalLm } from '@qdylora/models';
import type { ComputeDtype, InputOffload, Recompute } from '@qdylora/tensor';
import {
  gradientArrays,
  isOnePart,
  train,
  type LearningRateSchedule,
  type Optimizer,
} from '@qdylora/trainer';
import { distinctRows } from '../../config/distinct-rows.ts';
import type { RunConfig } from '../../config/resolve-run.ts';
import type { PhaseBytes } from './rough-needs.ts';
import {
  adapterConfigOf,
  levelSamplerOf,
  optimizerOf,
  preconditionerOf,
  samplerOf,
  type ModelToTrain,
} from '../run/assemble-run.ts';
import { offloadOf } from '../run/offload-of.ts';
import { gradientSumOf } from '../run/gradient-sum-of.ts';
import { JUDGED_TOKENS } from '../run/judging/judged-tokens.ts';
import { quantizationOf } from '../opening/open-source.ts';
import { readAdapter } from '../adapter/read-adapter.ts';
import { dryWorld, type PlannedWorker } from './dry-world.ts';
import type { MemoryPart } from './memory-forecast.ts';

/** Names of a plan's parts, in the order in which a run needs them. */
const PARTS = {
  base: 'base weights',
  adapter: 'adapter',
  gradients: 'gradients',
  optimizer: 'optimizer states',
  activations: 'activations',
  evaluation: 'held-out loss',
} as const;

/** A step to plan. */
export interface PlannedStep {
  /** Its micro batches. */
  readonly batches: readonly TokenBatch[];
  /** Whether it trains the largest rank alone, before the rows are sorted. */
  readonly isWide: boolean;
  /** Its number in the run: the ranks of a lone example take turns over the steps. */
  readonly runStep: number;
  /** It stands for any step of the run, whatever rank is drawn there; false by default. */
  readonly isAnyStep?: boolean;
}

/** A run to plan: shapes of a model, and the rows of its largest steps. */
export interface DryRunOptions {
  readonly backend: DryBackend;
  /** Content of the model's `config.json`. */
  readonly model: Readonly<Record<string, unknown>>;
  /** How the checkpoint stores its tables and matrices. */
  readonly dtype: 'f32' | 'bf16';
  /** Arrays of another type, by name. */
  readonly dtypes?: ReadonlyMap<string, 'f32' | 'bf16'>;
  /** Each candidate for the largest step. */
  readonly steps: readonly PlannedStep[];
  /** The rows of each candidate for the largest evaluation pass; empty: nothing is held out. */
  readonly judged: readonly (readonly Example[])[];
  /** Which layers run again in backward. */
  readonly recompute: Recompute;
  /** Number of layers to build, from the first; all by default. */
  readonly mostLayers?: number;
  /** The worker of `max_rank_by_worker` whose share is run; by default the run has one process. */
  readonly worker?: PlannedWorker;
}

type DryConfig = RunConfig & { readonly computeDtype: ComputeDtype };

/** Memory of a run, part by part. */
export interface DryRun {
  /** At the peak of their sum. */
  readonly parts: readonly PartUsage[];
  readonly peakBytes: number;
  /** `peakBytes` is the largest of their peaks. Each grows linearly with the number of layers. */
  readonly phases: {
    readonly building: DryPhase;
    readonly training: DryPhase;
    /** Null where nothing is held out. */
    readonly judging: DryPhase | null;
  };
  /** Peak of the touched memory, gaps between arrays included. */
  readonly touchedBytes: number;
  /** Pinned memory of the system beside a device: offloaded activations, pages of optimizer states. */
  readonly pinnedBytes: number;
  readonly parameterCount: number;
  readonly trainableCount: number;
  readonly adaptedLayers: number;
}

/** Memory of one phase: building the model, everything from attaching to the last step, or evaluation. */
export type DryPhase = Pick<DryRun, 'parts' | 'peakBytes'>;

/** A page store without bytes, of a run whose pages are in a file. */
const nowhere = (byteLength: number): PageStore => ({
  byteLength,
  read: () => ({ wait() {} }),
  write: () => ({ wait() {} }),
  dispose: () => {},
  [Symbol.dispose]: () => {},
});

/**
 * Runs the code of a real run on a dry backend: builds the model from shapes, attaches the adapter, prepares
 * the optimizer, trains one step at the largest rank, evaluates. Its memory is the plan; there is no second
 * formula.
 *
 * @throws QdyloraError as building, attaching and preparing do
 */
export async function dryRun(config: DryConfig, options: DryRunOptions): Promise<DryRun> {
  const { backend } = options;
  const { memory } = backend;
  memory.begin(PARTS.base);
  const model = buildShapes(config, options);
  const building = { peakBytes: memory.usage().peakBytes, parts: memory.parts() };
  memory.resetPeak();
  memory.begin(PARTS.adapter);
  const adapted = config.method === 'none' ? null : attachShapes(model, config);
  const optimizer = preparedOptimizer(config, backend, { model, adapted });
  memory.begin(PARTS.activations);
  using offload = offloadOf(config, backend);
  const { training, judging } = await trainSteps(config, { model, adapted, optimizer, offload }, options);
  const { touchedBytes } = memory.usage();
  optimizer.dispose();
  return {
    ...fullestOf([training, judging, building]),
    phases: { building, training, judging },
    touchedBytes,
    pinnedBytes: backend.pageBytes(),
    parameterCount: model.parameterCount,
    trainableCount: adapted?.report.trainableCount ?? model.parameterCount,
    adaptedLayers: adapted?.layers.length ?? 0,
  };
}

/** The first of those that need the most. */
const fullestOf = ([first, ...others]: readonly [DryPhase, ...(DryPhase | null)[]]): DryPhase =>
  others.reduce<DryPhase>((most, phase) => (phase && phase.peakBytes > most.peakBytes ? phase : most), first);

/** Builds the model from shapes. Full training has float32 weights, whatever the files hold. */
function buildShapes(
  config: DryConfig,
  { backend, model, dtype, dtypes, mostLayers }: DryRunOptions,
): CausalLm {
  return config.method === 'none'
    ? shapeModel(model, { backend, quantization: { kind: 'none' }, dtype: 'f32', mostLayers })
    : shapeModel(model, { backend, quantization: quantizationOf(config), dtype, dtypes, mostLayers });
}

/** Attaches the adapter of the run; a run that starts from an adapter has its layers. */
const attachShapes = (model: CausalLm, config: DryConfig): Adapted<CausalLm> =>
  attachDyLora(model, {
    ...adapterConfigOf(config),
    ...(config.adapter && {
      targetModules: readAdapter(config.adapter).state.layers.map(({ name }) => name),
    }),
  });

interface DryTraining {
  readonly model: CausalLm;
  readonly adapted: Adapted<CausalLm> | null;
  readonly optimizer: Optimizer;
  readonly offload: InputOffload | null;
}

/** Trains each step once at the largest rank and the most bits, then evaluates where rows are held out. */
async function trainSteps(
  config: DryConfig,
  { model, adapted, optimizer, offload }: DryTraining,
  { backend, steps, judged, recompute, worker }: DryRunOptions,
): Promise<Pick<DryRun['phases'], 'training' | 'judging'>> {
  const { computeDtype, maxGradNorm, seed } = config;
  const { memory } = backend;
  const phaseSoFar = (): DryPhase => ({
    peakBytes: memory.usage().peakBytes,
    parts: withGradients(memory.parts(), optimizer),
  });
  let training: DryPhase | null = null;
  const levels = adapted && atMostBits(levelSamplerOf(config, steps.length));
  const level = levels?.levels.at(-1);
  const evaluate = {
    every: steps.length,
    run: () => {
      training = phaseSoFar();
      memory.resetPeak();
      memory.begin(PARTS.evaluation);
      const view = adapted?.atRank(adapted.ranks.maxRank, { level }) ?? { model, active: null };
      return judge(view, judged, computeDtype);
    },
  };
  const workers = worker ? dryWorld(worker) : null;
  await train({
    model: adapted ? withUnlikeParts(adapted, config) : model,
    batches: { stepsPerEpoch: steps.length, batchAt: (step) => steps[step].batches, epochAt: () => 0 },
    sampler: adapted && atLargestRank(samplerOf(adapted, config), adapted.ranks.maxRank, steps),
    levels,
    optimizer,
    schedule: NO_SCHEDULE,
    totalSteps: steps.length,
    maxGradNorm: maxGradNorm || null,
    workers,
    maxRanks: workers && config.maxRankByWorker,
    gradientSum: gradientSumOf(config, workers),
    preconditioner: adapted && preconditionerOf(adapted, config),
    seed,
    computeDtype,
    recompute,
    offload,
    evaluate: judged.length === 0 ? undefined : evaluate,
  }).result;
  const last = phaseSoFar();
  return training ? { training, judging: last } : { training: last, judging: null };
}

const NO_SCHEDULE: LearningRateSchedule = { warmupSteps: 0, at: () => 0 };

async function judge(view: EvalView, passes: readonly (readonly Example[])[], computeDtype: ComputeDtype) {
  for (const examples of passes)
    await lossOver(view, examples, { computeDtype, tokensPerBatch: JUDGED_TOKENS });
  return { byRank: [{ rank: null, loss: 0 }] };
}

function preparedOptimizer(config: RunConfig, backend: DryBackend, trained: ModelToTrain): Optimizer {
  // a plan computes nothing with the learning rate
  const rated = { ...config, learningRate: config.learningRate ?? 1 };
  const optimizer = optimizerOf(trained, rated, { open: backend.openPageStore ?? nowhere });
  backend.memory.begin(PARTS.optimizer);
  optimizer.prepare(backend);
  return optimizer;
}

/** The parts to show: those of a plan in their order, then what kernels need, and the gaps between arrays. */
export function partsOfRun({ parts, peakBytes, touchedBytes }: DryRun): MemoryPart[] {
  const order: readonly string[] = Object.values(PARTS);
  const place = (part: string): number => (order.includes(part) ? order.indexOf(part) : order.length);
  return [
    ...parts
      .filter((usage) => usage.peakBytes > 0)
      .sort((one, other) => place(one.part) - place(other.part))
      .map(({ part, peakBytes: bytes }) => ({ part, bytes })),
    { part: 'gaps between arrays', bytes: touchedBytes - peakBytes },
  ];
}

/** Peak bytes of each phase, and the bytes of the optimizer states. */
export const phaseBytes = ({ phases: { building, training, judging } }: DryRun): PhaseBytes => ({
  building: building.peakBytes,
  training: training.peakBytes,
  judging: judging?.peakBytes ?? 0,
  states: training.parts.find(({ part }) => part === PARTS.optimizer)?.peakBytes ?? 0,
});

/**
 * Counts gradients as a part of their own: an optimizer allocates them together with its states, and both
 * stay.
 */
function withGradients(parts: readonly PartUsage[], optimizer: Optimizer): PartUsage[] {
  const bytes = gradientArrays(optimizer).reduce(
    (sum, { shape }) => sum + elementCount(shape) * DTYPE_BYTES.f32,
    0,
  ); // in whole cache lines already
  return parts.flatMap((usage) =>
    usage.part === PARTS.optimizer
      ? [
          { part: PARTS.gradients, liveBytes: bytes, peakBytes: bytes },
          { part: PARTS.optimizer, liveBytes: usage.liveBytes - bytes, peakBytes: usage.peakBytes - bytes },
        ]
      : [usage],
  );
}

/**
 * The same sampler at the largest rank, also for passes at another level. With distillation a part runs as
 * often as in the run, but once in steps that are wide.
 */
export const atLargestRank = (
  sampler: RankSampler | null,
  maxRank: number,
  steps?: readonly PlannedStep[],
): RankSampler | null =>
  sampler && {
    ...sampler,
    rankAt: () => maxRank,
    ranksOfPart(step, part, parts) {
      const planned = steps?.[step];
      if (!sampler.distillation || planned?.isWide) return [maxRank];
      if (planned?.isAnyStep && sampler.distillation.student === 'both') return [maxRank, maxRank];
      const partInRun = planned && isOnePart(planned.batches, sampler) ? planned.runStep % parts : part;
      return sampler.ranksOfPart(planned?.runStep ?? step, partInRun, parts).map(() => maxRank);
    },
  };

/**
 * The same levels with every pass that may be at another level at the most bits, which need the most memory.
 */
export const atMostBits = (levels: LevelSampler | null): LevelSampler | null => {
  if (!levels) return null;
  const mostBits = (): number => levels.levels.at(-1)!;
  return levels.studentLevelAt
    ? { ...levels, studentLevelAt: mostBits }
    : { ...levels, schedule: 'sampled', levelAt: mostBits };
};

/**
 * The same adapter with different loss weights for the parts of a pass, if parts of the run may differ. A
 * part that trains other rows than its neighbour, or has another weight, needs a workspace that equal parts
 * do not need. All parts are at the largest rank, which needs most.
 */
function withUnlikeParts(
  adapted: Adapted<CausalLm>,
  { updateRule, rankLossWeights }: RunConfig,
): Adapted<CausalLm> {
  const mayDiffer = updateRule === 'newest_block' || new Set(rankLossWeights ?? [1]).size > 1;
  return mayDiffer
    ? {
        ...adapted,
        atRanks: (parts, options) =>
          adapted.atRanks(
            parts.length > 1 ? parts.map((part, i) => ({ ...part, weight: 1 + (i % 2) })) : parts,
            options,
          ),
      }
    : adapted;
}

/**
 * The largest step that the keys allow, where no rows were read: every token counts. Where the first steps
 * train the largest rank alone, also the largest of them: a lone micro batch goes through the model whole
 * then, and in parts under distillation.
 *
 * @param mostBatches of it; by default a third pass takes the second's place
 */
export function fullestSteps(
  config: Parameters<typeof distinctRows>[0] & Pick<RunConfig, 'maxSeqLength' | 'wideRatio'>,
  mostBatches = 2,
): PlannedStep[] {
  const { microBatchSize, gradientAccumulationSteps } = distinctRows(config);
  const example = fullExample(config.maxSeqLength);
  const batch = collate(Array.from({ length: microBatchSize }, () => example));
  const batches = Array.from({ length: Math.min(gradientAccumulationSteps, mostBatches) }, () => batch);
  const hasWideSteps = config.distillation && config.wideRatio;
  return (hasWideSteps ? [true, false] : [false]).map((isWide) => ({
    batches,
    isWide,
    runStep: 0,
    isAnyStep: true,
  }));
}

/** The largest evaluation pass, in rows as long as the keys allow. */
export function fullestJudged({ maxSeqLength }: Pick<RunConfig, 'maxSeqLength'>): Example[] {
  const full = Array.from({ length: Math.max(1, Math.floor(JUDGED_TOKENS / maxSeqLength)) }, () =>
    fullExample(maxSeqLength),
  );
  const restTokens = JUDGED_TOKENS - full.length * maxSeqLength;
  return restTokens > 0 ? [...full, fullExample(restTokens)] : full;
}

/** A row of `length` tokens that are all counted. */
export const fullExample = (length: number): Example => ({
  ids: new Int32Array(length),
  labels: new Int32Array(length),
});
