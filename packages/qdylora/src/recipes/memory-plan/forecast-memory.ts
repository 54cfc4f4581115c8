import type { DryBackend } from '@qdylora/contract';
import type { ComputeDtype, Recompute } from '@qdylora/tensor';
import type { RunConfig } from '../../config/resolve-run.ts';
import type { AssembledRun, AssembleOptions } from '../run/assemble-run.ts';
import type { OpenedRun } from '../run/opened-run.ts';
import { dryRun, partsOfRun } from './dry-run.ts';
import { exchangeParts, type PlannedWorker } from './dry-world.ts';
import {
  forecastOf,
  JAVASCRIPT_BYTES,
  profileParts,
  type MemoryForecast,
  type MemoryPart,
} from './memory-forecast.ts';
import { largestJudged, largestSteps } from './largest-steps.ts';
import type { RunData } from '../run/load-data.ts';
import { collectGarbage, peakResidentBytes, residentBytes, type ProcessMark } from './resident-memory.ts';

export interface ForecastOptions {
  /** Creates a dry backend with the threads and the level of the backend that will run. */
  readonly dryBackend: () => DryBackend & Disposable;
  /** True where the arrays are in the memory of a GPU. */
  readonly isOnDevice: boolean;
  /** What `ceilings` of the backend needs, for a run with `profile: true`. */
  readonly ceilingBytes: number;
  readonly model: Readonly<Record<string, unknown>>;
  readonly marks: readonly ProcessMark[];
  /** This process among several workers; absent for one process. */
  readonly worker?: PlannedWorker;
  /** Layers to recompute; by default those of the assembled run. */
  readonly recompute?: Recompute;
}

/**
 * Forecasts the peak memory of the whole process, and of the GPU if there is one. The present memory is
 * measured. The memory that the run adds comes from its own largest steps on a dry backend.
 *
 * @throws QdyloraError as `dryRun` does
 */
export async function forecastMemory(
  config: RunConfig & { readonly computeDtype: ComputeDtype },
  { run, data }: { readonly run: AssembledRun; readonly data: RunData },
  { dryBackend, isOnDevice, ceilingBytes, model, marks, worker, ...options }: ForecastOptions,
): Promise<MemoryForecast> {
  const { recompute = run.training.recompute ?? false } = options;
  const dtypes = new Map(
    run.model
      .parameters()
      .map(({ name, view }) => [name, view.dtype === 'bf16' ? ('bf16' as const) : ('f32' as const)]),
  );
  const dtype = [...dtypes.values()].includes('bf16') ? 'bf16' : 'f32';
  const { steps, judged } = await disposing(dryBackend(), (backend) => ({
    steps: largestSteps(config, { run, data }, backend),
    judged: largestJudged(config, { run, data }, backend),
  }));
  const planned = await disposing(dryBackend(), (backend) =>
    dryRun(config, { backend, model, dtype, dtypes, steps, judged, recompute }),
  );
  const trainableCount = run.adapted?.report.trainableCount ?? run.model.parameterCount;
  collectGarbage();
  const arrayBytes = isOnDevice ? 0 : run.model.backend.memory.usage().touchedBytes;
  const processParts = [
    ...partsOfProcess(marks, residentBytes() - arrayBytes, 'left by loading'),
    { part: 'JavaScript of the steps', bytes: JAVASCRIPT_BYTES },
    ...profileParts(config, ceilingBytes),
    ...(worker ? exchangeParts(config, worker, trainableCount) : []),
  ];
  return forecastOf(processParts, partsOfRun(planned), isOnDevice ? planned : null);
}

/**
 * Bytes of the whole process, or of the GPU, with some layers recomputed; null for a backend of the caller,
 * whose needs are unknown.
 */
export const needOfRun = (
  config: RunConfig & { readonly computeDtype: ComputeDtype },
  {
    data,
    chosen: { dry, deviceBytes, ceilingBytes },
    source,
    worker,
  }: Pick<OpenedRun, 'data' | 'chosen' | 'source'> & Pick<ForecastOptions, 'worker'>,
): AssembleOptions['needOf'] =>
  dry &&
  (async (run, recompute) => {
    const isOnDevice = deviceBytes !== null;
    const model = source.config.raw;
    const options = { dryBackend: dry, isOnDevice, ceilingBytes, model, marks: [], worker, recompute };
    return (await forecastMemory(config, { run, data }, options)).totalBytes;
  });

async function disposing<T extends Disposable, R>(
  resource: T,
  use: (resource: T) => R | Promise<R>,
): Promise<R> {
  using disposable = resource;
  return await use(disposable);
}

/**
 * Divides `processBytes`, the memory of the process beside its arrays, among the marks: each gets what was
 * added by it and is still there.
 */
function partsOfProcess(marks: readonly ProcessMark[], processBytes: number, lastPart: string): MemoryPart[] {
  let before = 0;
  const parts = marks.map(({ part, residentBytes: then }) => {
    const until = Math.max(before, Math.min(then, processBytes));
    const bytes = until - before;
    before = until;
    return { part, bytes };
  });
  return [...parts, { part: lastPart, bytes: Math.max(0, processBytes - before) }];
}

/**
 * The peak memory so far, part by part.
 *
 * @param arraysBytes the peak of touched memory of the backend
 * @param isOnDevice true where that is memory of a GPU
 */
export function usedMemory(
  marks: readonly ProcessMark[],
  arraysBytes: number,
  isOnDevice: boolean,
): MemoryForecast {
  const arrays = { part: 'arrays and workspaces', bytes: arraysBytes };
  const processBytes = peakResidentBytes() - (isOnDevice ? 0 : arraysBytes);
  const processParts = partsOfProcess(marks, processBytes, 'JavaScript of the steps');
  return forecastOf(processParts, [arrays], isOnDevice ? { pinnedBytes: 0 } : null);
}
