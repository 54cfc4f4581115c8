import { workerAmong } from '../memory-plan/dry-world.ts';
import { forecastMemory } from '../memory-plan/forecast-memory.ts';
import type { OpenedRun } from './opened-run.ts';
import type { RunSession } from './run-session.ts';
import { assertNotAborted } from './steps/tell-abort.ts';

/**
 * Emits a description of the run and a forecast of its memory.
 *
 * @returns forecast bytes of the whole process, or of the GPU; null for a backend of the caller, which has no
 * dry counterpart
 * @throws QdyloraError ABORTED
 */
export async function announceRun(
  { config, source, data, run, chosen }: OpenedRun,
  { emit, marks, signal, workers }: RunSession,
): Promise<number | null> {
  const { model, adapted } = run;
  emit({
    type: 'ready',
    config,
    backend: chosen.label,
    model: {
      name: source.name,
      modelType: model.modelType,
      parameterCount: model.parameterCount,
      weightBytes: model.weightBytes,
    },
    adapter: adapted && { ...adapted.report, ranks: adapted.ranks.ranks },
    data: { report: data.report, training: data.training.length, heldOut: data.heldOut.length },
  });
  assertNotAborted(signal, 'forecast');
  if (!chosen.dry) return null;
  const isOnDevice = chosen.deviceBytes !== null;
  const forecast = await forecastMemory(
    config,
    { run, data },
    {
      dryBackend: chosen.dry,
      isOnDevice,
      ceilingBytes: chosen.ceilingBytes,
      model: source.config.raw,
      marks,
      worker: workerAmong(workers),
    },
  );
  emit({ type: 'forecast', ...forecast });
  return forecast.totalBytes;
}
