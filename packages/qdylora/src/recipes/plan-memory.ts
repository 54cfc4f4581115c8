import { familyOf } from '@qdylora/models';
import type { ComputeDtype, Recompute } from '@qdylora/tensor';
import type { ExplicitValues } from '../config/explicit-values.ts';
import { valuesOfOptions } from '../config/explicit-values.ts';
import type { RunConfig, RunOptions } from '../config/resolve-run.ts';
import { resolveShape } from './run/prepare-run.ts';
import { checkHooks } from './run/check-hooks.ts';
import { chooseBackend, type ChosenBackend } from './opening/choose-backend.ts';
import { estimateTime, type TimeEstimate } from './memory-plan/estimate-time.ts';
import { dryRun, fullestJudged, fullestStep, phaseBytes, type DryRun } from './memory-plan/dry-run.ts';
import { fitMemory, type Fit } from './memory-plan/fit-memory.ts';
import { JAVASCRIPT_BYTES, partsOfRun, sumOf } from './memory-plan/forecast-memory.ts';
import type { MemoryForecast, MemoryPart } from './memory-plan/memory-forecast.ts';
import type { LocalModelOptions } from './opening/local-model.ts';
import { needsOfRuns, type Needed, type NeedsOfRuns } from './memory-plan/needs-of-runs.ts';
import { plannedModel, type PlannedModel } from './memory-plan/planned-model.ts';
import { resolveRecompute } from './memory-plan/resolve-recompute.ts';
import { roughNeeds } from './memory-plan/rough-needs.ts';
import { collectGarbage, residentBytes } from './memory-plan/resident-memory.ts';
import { NO_ROWS, warnOfPositions } from './opening/warn-of-positions.ts';

/** The memory of a run, planned before any of its weights exist. */
export interface MemoryPlan extends MemoryForecast {
  readonly config: RunConfig;
  readonly modelType: string;
  readonly backend: string;
  readonly parameterCount: number;
  readonly trainableCount: number;
  readonly adaptedLayers: number;
  readonly layers: number;
  /** Which layers run again in backward. */
  readonly recompute: Recompute;
  readonly time: TimeEstimate;
  /** What the user should know before such a run. */
  readonly notes: readonly string[];
  /** Null without `memoryBytes`. `fit`: what to change; null where the run fits, or where nothing helps. */
  readonly limit: { readonly memoryBytes: number; readonly fits: boolean; readonly fit: Fit | null } | null;
}

export interface PlanHooks extends LocalModelOptions {
  readonly memoryBytes?: number | null;
}

/** The keys of a run (only `model` or `init` is required), and the memory of the machine. */
export type PlanMemoryOptions = RunOptions & Pick<PlanHooks, 'signal' | 'memoryBytes'>;

/**
 * Forecasts the peak memory of training a model, part by part, from its `config.json` alone: the code of the
 * run on a backend that allocates and computes nothing.
 *
 * @throws QdyloraError BAD_CONFIG, BAD_ARGUMENT; UnsupportedArchitectureError
 * @example
 * const model = 'falcon-40b/config.json';
 * const { totalBytes, limit } = await planMemory({ model, maxSeqLength: 512, memoryBytes: 32 * 2 ** 30 });
 */
export async function planMemory({
  signal,
  memoryBytes,
  ...options
}: PlanMemoryOptions): Promise<MemoryPlan> {
  checkHooks('plan', { signal, memoryBytes });
  return planMemoryFrom(valuesOfOptions(options), { signal, memoryBytes });
}

/** The same for values from flags. */
export async function planMemoryFrom(
  explicit: ExplicitValues,
  { memoryBytes = null, ...hub }: PlanHooks = {},
): Promise<MemoryPlan> {
  const requested = resolveShape(explicit);
  const model = await plannedModel(requested, hub);
  using chosen = await chooseBackend(requested.backend, {
    numThreads: requested.numThreads,
    batchInvariant: requested.batchInvariant,
    warn: hub.tell,
  });
  const config = { ...requested, computeDtype: chosen.computeDtype(requested.computeDtype) };
  const processParts = partsOfThisProcess();
  const step = await dryStep(config, model, { chosen, processParts });
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
  const time = await estimateTime(chosen.backend, config, {
    parameterCount,
    trainableCount,
    hiddenSize: family.hiddenSize,
    layers,
    recompute,
  });
  const stepOf = (changed: RunConfig, mostLayers?: number): Promise<DryStep> =>
    dryStep(changed as typeof config, model, { chosen, processParts, mostLayers });
  return {
    ...forecast,
    config,
    recompute,
    time,
    notes,
    modelType: model.config.modelType,
    backend: chosen.label,
    parameterCount,
    trainableCount,
    adaptedLayers,
    layers,
    limit: memoryBytes === null ? null : await limitOf(memoryBytes, { config, step, stepOf }),
  };
}

interface LimitedRun {
  readonly config: RunConfig;
  /** The step of `config`. */
  readonly step: DryStep;
  /** The step of a changed run. */
  readonly stepOf: (config: RunConfig, mostLayers?: number) => Promise<DryStep>;
}

/** Whether a run fits into `memoryBytes`, and what to change where it does not. */
async function limitOf(
  memoryBytes: number,
  { config, step, stepOf }: LimitedRun,
): Promise<MemoryPlan['limit']> {
  if (step.forecast.totalBytes <= memoryBytes) return { memoryBytes, fits: true, fit: null };
  const needs = await needsOf(config, step, stepOf);
  return { memoryBytes, fits: false, fit: await fitMemory(config, memoryBytes, needs) };
}

/**
 * The training thread (23 MB), remains of the tokenizer and of loading, and some rows. Measured: 37 to 46 MB
 * (SmolLM2-135M, 49 152 tokens, Node 20, 2026).
 */
const TRAINING_BYTES = 41e6;

/** The memory of this process, which a training process has too. */
function partsOfThisProcess(): MemoryPart[] {
  collectGarbage();
  return [
    { part: 'Node, program and kernels', bytes: residentBytes() },
    { part: 'training thread, tokenizer and rows', bytes: TRAINING_BYTES },
    { part: 'JavaScript of the steps', bytes: JAVASCRIPT_BYTES },
  ];
}

interface DryStepOptions {
  readonly chosen: ChosenBackend;
  readonly processParts: readonly MemoryPart[];
  readonly mostLayers?: number;
}

/** The largest step that the keys allow, and the largest evaluation pass where rows are held out. */
async function dryStep(
  config: RunConfig & { readonly computeDtype: ComputeDtype },
  { config: model, dtype, dtypes }: PlannedModel,
  { chosen: { dry }, processParts, mostLayers }: DryStepOptions,
): Promise<DryStep> {
  const { layers } = familyOf(model.modelType, model.path).readConfig(model);
  const judges = config.valSetSize > 0 || config.evalDataset !== null;
  const judged = judges ? [fullestJudged(config)] : [];
  const runWith = async (recompute: Recompute): Promise<DryStep> => {
    using backend = dry!();
    const planned = await dryRun(config, {
      backend,
      model: model.raw,
      dtype,
      dtypes,
      steps: [fullestStep(config)],
      judged,
      recompute,
      mostLayers,
    });
    return { planned, recompute, layers, forecast: sumOf([...processParts, ...partsOfRun(planned)]) };
  };
  return await runWith(
    await resolveRecompute(
      config.gradientCheckpointing,
      layers,
      async (recompute) => (await runWith(recompute)).forecast.totalBytes,
    ),
  );
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

/** `step`: that of `config` itself, which has been run. */
async function needsOf(
  config: RunConfig,
  step: DryStep,
  run: (config: RunConfig, mostLayers?: number) => Promise<DryStep>,
): Promise<NeedsOfRuns> {
  const processBytes = step.forecast.totalBytes - step.planned.touchedBytes;
  const needs = needsOfRuns({
    exact: async (changed) => neededBy(changed === config ? step : await run(changed)),
    rough: roughNeeds(step.layers, processBytes, async (changed, mostLayers) =>
      phaseBytes((await run(changed, mostLayers)).planned),
    ),
  });
  await needs.exact(config);
  return needs;
}
