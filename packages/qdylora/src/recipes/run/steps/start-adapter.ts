import type { TokenBatch } from '@qdylora/data';
import { startFromActivations, startFromGradients } from '@qdylora/trainer';
import type { OpenedRun } from '../opened-run.ts';
import type { RunSession } from '../run-session.ts';
import { unscaledDtype } from '../unscaled-dtype.ts';

/** Rows that decide the start, at least: whole steps do. 64 rows of GSM8K have about 8,000 answer tokens. */
const START_ROWS = 64;

/**
 * Gives a new adapter the start that the run asks for. A resumed run needs none: its checkpoint has the
 * weights.
 *
 * @throws QdyloraError ABORTED, BAD_ARGUMENT, NON_FINITE
 */
export async function startAdapter(
  { config, run }: OpenedRun,
  { notice, signal }: RunSession,
): Promise<void> {
  const { adapted, training } = run;
  if (!adapted || config.adapterInit === 'kaiming') return;
  const begin = performance.now();
  const batches = firstRows(run.batches, run.totalSteps);
  const options = {
    seed: config.seed,
    rowNorm: config.adapterInitNorm ?? undefined,
    computeDtype: unscaledDtype(config.computeDtype),
    signal,
  };
  if (config.adapterInit === 'activations') await startFromActivations(run.model, adapted, batches, options);
  else {
    const { recompute, offload } = training;
    await startFromGradients(adapted, batches, { ...options, recompute, offload });
  }
  const rows = rowCount(batches);
  const seconds = (performance.now() - begin) / 1000;
  notice(`adapter_init ${config.adapterInit}: two passes over ${rows} rows took ${seconds.toFixed(1)} s.`);
}

/** Micro batches of the first steps: at least `START_ROWS` rows, or all of the run. */
function firstRows(batches: OpenedRun['run']['batches'], totalSteps: number): TokenBatch[] {
  const first: TokenBatch[] = [];
  for (let step = 0; step < totalSteps && rowCount(first) < START_ROWS; step++)
    first.push(...batches.batchAt(step));
  return first;
}

const rowCount = (batches: readonly TokenBatch[]): number =>
  batches.reduce((sum, { segments }) => sum + segments.length - 1, 0);
