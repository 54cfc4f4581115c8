import { totalmem } from 'node:os';
import { familyOf } from '@qdylora/models';
import type { ExplicitValues } from '../config/explicit-values.ts';
import { valuesOfOptions } from '../config/explicit-values.ts';
import type { RunConfig, RunOptions } from '../config/resolve-run.ts';
import { resolveShape } from './run/prepare-run.ts';
import { checkHooks } from './run/check-hooks.ts';
import { chooseBackend } from './opening/choose-backend.ts';
import { estimateTime, type TimeEstimate } from './memory-plan/estimate-time.ts';
import {
  JAVASCRIPT_BYTES,
  profileParts,
  TRAINING_BYTES,
  type MemoryPart,
} from './memory-plan/memory-forecast.ts';
import { planModel, type ModelPlan } from './memory-plan/plan-model.ts';
import type { LocalModelOptions } from './opening/local-model.ts';
import { plannedModel } from './memory-plan/planned-model.ts';
import { collectGarbage, residentBytes } from './memory-plan/resident-memory.ts';

/** The memory of a run, planned before any of its weights exist. */
export interface MemoryPlan extends ModelPlan {
  readonly config: RunConfig;
  readonly modelType: string;
  readonly backend: string;
  readonly time: TimeEstimate;
}

export interface PlanHooks extends LocalModelOptions {
  readonly memoryBytes?: number | null;
  /** Without `memoryBytes`: the limit is what the GPU has free, or else the memory of this machine. */
  readonly isForThisMachine?: boolean;
}

/** The keys of a run (only `model` or `init` is required), and the memory of the machine, or of its GPU. */
export type PlanMemoryOptions = RunOptions & Pick<PlanHooks, 'signal' | 'memoryBytes'>;

/**
 * Forecasts the peak memory of training a model, part by part, from its `config.json` alone: the code of the
 * run on a backend that allocates and computes nothing. On a GPU these are parts of its memory, and those of
 * the process come apart.
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
  checkHooks('planMemory', { signal, memoryBytes });
  return planMemoryFrom(valuesOfOptions(options), { signal, memoryBytes });
}

/** The same for values from flags. */
export async function planMemoryFrom(
  explicit: ExplicitValues,
  { memoryBytes = null, isForThisMachine = false, ...hub }: PlanHooks = {},
): Promise<MemoryPlan> {
  const requested = resolveShape(explicit);
  const model = await plannedModel(requested, hub);
  using chosen = await chooseBackend(requested.backend, {
    numThreads: requested.numThreads,
    batchInvariant: requested.batchInvariant,
    warn: hub.tell,
  });
  const config = { ...requested, computeDtype: chosen.computeDtype(requested.computeDtype) };
  const plan = await planModel(config, model, {
    dry: chosen.dry!,
    processParts: [...partsOfThisProcess(), ...profileParts(config, chosen.ceilingBytes)],
    isOnDevice: chosen.deviceBytes !== null,
    memoryBytes: memoryBytes ?? (isForThisMachine ? (chosen.deviceBytes ?? totalmem()) : null),
  });
  const { parameterCount, trainableCount, layers, recompute } = plan;
  const { hiddenSize } = familyOf(model.config.modelType, model.config.path).readConfig(model.config);
  const time = await estimateTime(chosen.backend, config, {
    parameterCount,
    trainableCount,
    hiddenSize,
    layers,
    recompute,
  });
  return { ...plan, config, time, modelType: model.config.modelType, backend: chosen.label };
}

/** The memory of this process, which a training process has too. */
function partsOfThisProcess(): MemoryPart[] {
  collectGarbage();
  return [
    { part: 'Node, program and kernels', bytes: residentBytes() },
    { part: 'training thread, tokenizer and rows', bytes: TRAINING_BYTES },
    { part: 'JavaScript of the steps', bytes: JAVASCRIPT_BYTES },
  ];
}
