import type { ComputeDtype } from '@qdylora/tensor';
import type { GivenValues } from '../config/given-values.ts';
import { givenByOptions } from '../config/given-values.ts';
import type { RunConfig, RunOptions } from '../config/resolve-run.ts';
import { resolveShape } from './prepare-run.ts';
import { chooseBackend, type ChosenBackend } from './stages/choose-backend.ts';
import { dryRun, fullestStep, fullExample, PARTS, type DryRun } from './stages/dry-run.ts';
import { fitMemory, type Fit } from './stages/fit-memory.ts';
import { JAVASCRIPT_BYTES, partsOfRun, sumOf, type MemoryForecast, type MemoryPart } from './stages/forecast-memory.ts';
import { JUDGED_TOKENS } from './stages/judge-run.ts';
import type { LocalModelOptions } from './stages/local-model.ts';
import { plannedModel, type PlannedModel } from './stages/planned-model.ts';
import { collectGarbage, residentBytes } from './stages/resident-memory.ts';

/** What a run of some model would need, before any of its weights are there. */
export interface MemoryPlan extends MemoryForecast {
  readonly config: RunConfig;
  readonly modelType: string;
  readonly backend: string;
  readonly parameterCount: number;
  readonly trainableCount: number;
  readonly adaptedLayers: number;
  /** Null where nobody asked. `fit`: what to change, null where it fits or nothing helps. */
  readonly limit: { readonly memoryBytes: number; readonly fits: boolean; readonly fit: Fit | null } | null;
}

export interface PlanHooks extends LocalModelOptions { readonly memoryBytes?: number | null }

/** Every key of a run, none but `model` (or `init`) needed, and the memory that there is. */
export type PlanMemoryOptions = RunOptions & Pick<PlanHooks, 'signal' | 'memoryBytes'>;

/**
 * What training a model would need at most, part by part, from its `config.json` alone: the run's own step, on a backend that keeps books and computes nothing.
 *
 * @throws QdyloraError BAD_CONFIG; UnsupportedArchitectureError
 * @example
 * const { totalBytes, limit } = await planMemory({ model: 'falcon-40b/config.json', maxSeqLength: 512, microBatchSize: 1, memoryBytes: 32 * 2 ** 30 });
 */
export const planMemory = ({ signal, memoryBytes, ...options }: PlanMemoryOptions): Promise<MemoryPlan> => planMemoryGiven(givenByOptions(options), { signal, memoryBytes });

export async function planMemoryGiven(given: GivenValues, { memoryBytes = null, ...hub }: PlanHooks = {}): Promise<MemoryPlan> {
  const asked = resolveShape(given), model = await plannedModel(asked, hub);
  using chosen = await chooseBackend(asked.backend, { numThreads: asked.numThreads, batchInvariant: asked.batchInvariant, warn: hub.tell });
  const config = { ...asked, computeDtype: chosen.computeDtype(asked.computeDtype) }, own = partsOfThisProcess();
  const planned = await dryStep(config, model, chosen), forecast = sumOf([...own, ...partsOfRun(planned)]), { parameterCount, trainableCount, adaptedLayers } = planned;
  const fits = memoryBytes === null || forecast.totalBytes <= memoryBytes;
  const need = async (changed: RunConfig) => neededBy(await dryStep(changed as typeof config, model, chosen), own);
  return {
    ...forecast, config, modelType: model.config.modelType, backend: chosen.label, parameterCount, trainableCount, adaptedLayers,
    limit: memoryBytes === null ? null : { memoryBytes, fits, fit: fits ? null : await fitMemory(config, memoryBytes, need) },
  };
}

/** A thread of its own (26 MB), a tokenizer and some rows, read and half given back. Measured: 57 to 61 MB (SmolLM2-135M, 49 152 tokens, Node 20, 2026). */
const TRAINING_BYTES = 60e6;

/** What this process has already, a training process has too. */
function partsOfThisProcess(): MemoryPart[] {
  collectGarbage();
  return [{ part: 'Node, program and kernels', bytes: residentBytes() }, { part: 'training thread, tokenizer and rows', bytes: TRAINING_BYTES }, { part: 'JavaScript of the steps', bytes: JAVASCRIPT_BYTES }];
}

/** The largest step that the keys allow, and a judging pass of as many tokens as one may have, where rows are held out. */
async function dryStep(config: RunConfig & { readonly computeDtype: ComputeDtype }, { config: model, dtype }: PlannedModel, { dry }: ChosenBackend): Promise<DryRun> {
  using backend = dry!();
  const judges = config.valSetSize > 0 || config.evalDataset !== null;
  return await dryRun(config, { backend, model: model.raw, dtype, batches: fullestStep(config), heldOut: judges ? [fullExample(Math.max(JUDGED_TOKENS, config.maxSeqLength))] : [] });
}

const neededBy = (planned: DryRun, own: readonly MemoryPart[]) => ({
  totalBytes: sumOf([...own, ...partsOfRun(planned)]).totalBytes, stateBytes: planned.parts.find(({ part }) => part === PARTS.optimizer)?.peakBytes ?? 0,
});
