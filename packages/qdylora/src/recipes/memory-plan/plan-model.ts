import type { DryBackend } from '@qdylora/contract';
import { familyOf } from '@qdylora/models';
import { canOffload, type ComputeDtype, type Recompute } from '@qdylora/tensor';
import type { RunConfig } from '../../config/resolve-run.ts';
import { NO_ROWS, warnOfPositions } from '../opening/warn-of-positions.ts';
import {
  dryRun,
  fullestJudged,
  fullestSteps,
  partsOfRun,
  phaseBytes,
  type DryRun,
  type DryRunOptions,
} from './dry-run.ts';
import { exchangeParts } from './dry-world.ts';
import { fitMemory, type Fit } from './fit-memory.ts';
import { forecastOf, type MemoryForecast, type MemoryPart } from './memory-forecast.ts';
import { needsOfRuns, type Needed, type NeedsOfRuns } from './needs-of-runs.ts';
import type { PlannedModel } from './planned-model.ts';
import { resolveRecompute } from './resolve-recompute.ts';
import { roughNeeds } from './rough-needs.ts';

/** What training a model needs, and whether that fits. */
export interface ModelPlan extends MemoryForecast {
  readonly parameterCount: number;
  readonly trainableCount: number;
  readonly adaptedLayers: number;
  readonly layers: number;
  /** Which layers run again in backward. */
  readonly recompute: Recompute;
  /** Peak of each worker of `max_rank_by_worker`; absent where the run names none. */
  readonly workers?: readonly WorkerNeed[];
  /** What the user should know before such a run. */
  readonly notes: readonly string[];
  /**
   * Null without `memoryBytes`, the memory of one process: with `workers` of the largest of them. `fit`: what
   * to change; null where the run fits, or where nothing helps.
   */
  readonly limit: { readonly memoryBytes: number; readonly fits: boolean; readonly fit: Fit | null } | null;
}

/** Forecast of one of several workers, in bytes of its process, or of its GPU. */
export interface WorkerNeed {
  readonly maxRank: number;
  readonly totalBytes: number;
}

export interface PlanModelOptions {
  /** Creates a dry backend with the memory needs of the one that will run. */
  readonly dry: () => DryBackend & Disposable;
  /** Memory of the process beside its arrays. */
  readonly processParts: readonly MemoryPart[];
  /** True where the arrays are in the memory of a GPU. */
  readonly isOnDevice: boolean;
  readonly memoryBytes: number | null;
}

type PlannedConfig = RunConfig & { readonly computeDtype: ComputeDtype };

/**
 * The plan of a model whose config is read: the code of the run, on shapes. Needs no file and no native code,
 * so the documentation runs it in the page.
 *
 * @throws QdyloraError as `dryRun` does
 */
export async function planModel(
  config: PlannedConfig,
  model: PlannedModel,
  { memoryBytes, ...options }: PlanModelOptions,
): Promise<ModelPlan> {
  const step = await dryStep(config, model, options);
  const {
    forecast,
    recompute,
    layers,
    planned: { parameterCount, trainableCount, adaptedLayers },
  } = step;
  const notes: string[] = [];
  const family = familyOf(model.config.modelType, model.config.path).readConfig(model.config);
  warnOfPositions(family, NO_ROWS, config.maxSeqLength, (note) => {
    notes.push(note);
  });
  const stepOf = (changed: RunConfig, mostLayers?: number): Promise<DryStep> =>
    largestStep(changed as PlannedConfig, model, { ...options, mostLayers });
  const steps = await stepsOfWorkers(config, model, { ...options, recompute });
  const workers = steps.map(({ forecast: { totalBytes } }, rank): WorkerNeed => ({
    maxRank: config.maxRankByWorker![rank],
    totalBytes,
  }));
  const limited = { config, step: largestOf(steps) ?? step, stepOf, dry: options.dry };
  return {
    ...forecast,
    recompute,
    ...(workers.length > 0 && { workers }),
    notes,
    parameterCount,
    trainableCount,
    adaptedLayers,
    layers,
    limit: memoryBytes === null ? null : await limitOf(memoryBytes, limited),
  };
}

interface LimitedRun {
  readonly config: RunConfig;
  /** The step of `config`; of its largest worker where it has several. */
  readonly step: DryStep;
  /** The same of a changed run. */
  readonly stepOf: (config: RunConfig, mostLayers?: number) => Promise<DryStep>;
  readonly dry: PlanModelOptions['dry'];
}

function offloads(dry: PlanModelOptions['dry']): boolean {
  using backend = dry();
  return canOffload(backend);
}

/** Whether a run fits into `memoryBytes`, and what to change where it does not. */
async function limitOf(memoryBytes: number, limited: LimitedRun): Promise<ModelPlan['limit']> {
  const { config, step } = limited;
  if (step.forecast.totalBytes <= memoryBytes) return { memoryBytes, fits: true, fit: null };
  const needs = await needsOf(limited);
  return { memoryBytes, fits: false, fit: await fitMemory(config, memoryBytes, needs) };
}

/** Each worker of `max_rank_by_worker`: its passes, its sums and what it exchanges. */
async function stepsOfWorkers(
  config: PlannedConfig,
  model: PlannedModel,
  options: DryStepOptions & { readonly recompute: Recompute },
): Promise<DryStep[]> {
  const size = config.maxRankByWorker?.length ?? 0;
  const steps: DryStep[] = [];
  for (let rank = 0; rank < size; rank++)
    steps.push(await runDry(config, model, { ...options, worker: { rank, size } }));
  return steps;
}

/** The step that needs the most memory; null of none. */
const largestOf = (steps: readonly DryStep[]): DryStep | null =>
  steps.reduce<DryStep | null>(
    (most, step) => (most && most.forecast.totalBytes >= step.forecast.totalBytes ? most : step),
    null,
  );

/** The step of the largest worker; that of the one process where the run names no workers. */
async function largestStep(
  config: PlannedConfig,
  model: PlannedModel,
  options: DryStepOptions,
): Promise<DryStep> {
  const step = await dryStep(config, model, options);
  const { recompute } = step;
  return largestOf(await stepsOfWorkers(config, model, { ...options, recompute })) ?? step;
}

interface DryStepOptions extends Pick<PlanModelOptions, 'dry' | 'processParts' | 'isOnDevice'> {
  readonly mostLayers?: number;
}

/** The largest step that the keys allow, and the largest evaluation pass where rows are held out. */
async function dryStep(
  config: PlannedConfig,
  model: PlannedModel,
  options: DryStepOptions,
): Promise<DryStep> {
  const { modelType, path } = model.config;
  const { layers } = familyOf(modelType, path).readConfig(model.config);
  const runWith = (recompute: Recompute): Promise<DryStep> =>
    runDry(config, model, { ...options, recompute });
  return await runWith(
    await resolveRecompute(
      config.gradientCheckpointing,
      layers,
      async (recompute) => (await runWith(recompute)).forecast.totalBytes,
    ),
  );
}

/** The same with these layers recomputed, on one process or on one of several workers. */
async function runDry(
  config: PlannedConfig,
  { config: model, dtype, dtypes }: PlannedModel,
  {
    dry,
    processParts,
    isOnDevice,
    mostLayers,
    recompute,
    worker,
  }: DryStepOptions & Pick<DryRunOptions, 'recompute' | 'worker'>,
): Promise<DryStep> {
  const { layers } = familyOf(model.modelType, model.path).readConfig(model);
  const judges = config.valSetSize > 0 || config.evalDataset !== null;
  using backend = dry();
  const planned = await dryRun(config, {
    backend,
    model: model.raw,
    dtype,
    dtypes,
    steps: fullestSteps(config, worker && Infinity),
    judged: judges ? [fullestJudged(config)] : [],
    recompute,
    mostLayers,
    worker,
  });
  const ofProcess = [
    ...processParts,
    ...(worker ? exchangeParts(config, worker, planned.trainableCount) : []),
  ];
  const forecast = forecastOf(ofProcess, partsOfRun(planned), isOnDevice ? planned : null);
  return { planned, recompute, layers, forecast };
}

interface DryStep {
  readonly planned: DryRun;
  readonly layers: number;
  readonly recompute: Recompute;
  readonly forecast: MemoryForecast;
}

const neededBy = ({ planned, forecast: { totalBytes } }: DryStep): Needed => ({
  totalBytes,
  stateBytes: phaseBytes(planned).states,
});

/** Answers about the run, whose step is known already, and about changed ones. */
async function needsOf({ config, step, stepOf, dry }: LimitedRun): Promise<NeedsOfRuns> {
  const processBytes = step.forecast.totalBytes - step.planned.touchedBytes;
  const needs = needsOfRuns({
    exact: async (changed) => neededBy(changed === config ? step : await stepOf(changed)),
    rough: roughNeeds(step.layers, processBytes, async (changed, mostLayers) =>
      phaseBytes((await stepOf(changed, mostLayers)).planned),
    ),
    canOffload: offloads(dry),
  });
  await needs.exact(config);
  return needs;
}
