import { wrapBackend, type Backend } from '@qdylora/contract';
import { createDryCudaBackend } from '@qdylora/cuda-kernels';
import { librarySum, train } from '@qdylora/trainer';
import { expect, test } from 'vitest';
import { valuesOfOptions } from '../src/config/explicit-values.ts';
import { openRun } from '../src/recipes/finetune.ts';
import { atLargestRank, dryRun } from '../src/recipes/memory-plan/dry-run.ts';
import { largestSteps } from '../src/recipes/memory-plan/largest-steps.ts';
import { prepareRun } from '../src/recipes/run/prepare-run.ts';
import { openSession } from '../src/recipes/run/run-session.ts';
import { buildFakeDriver, onFakeCuda } from './fake-cuda.ts';
import { temporaryPlace, writeRowsOf, writeTinyModel } from './tiny-model.ts';

// What a run has on the driver that works without a GPU, and what its plan says.

const driver = buildFakeDriver();
const place = temporaryPlace();
const [LAYERS, HIDDEN, TOKENS] = [4, 16, 24];
const model = writeTinyModel(place.in('model'), {
  config: { hidden_size: HIDDEN, intermediate_size: 16, vocab_size: 100, num_hidden_layers: LAYERS },
});
const rows = writeRowsOf(place.in('rows.jsonl'), [TOKENS]);

/** What training one step really had, and what the dry run says. */
async function bothBooks(device: Backend, activationOffload: boolean) {
  // A replay has its temporaries in regions of its own; a backend that measures replays nothing.
  const backend = wrapBackend(device, { measure: (_, run) => run() });
  const prepared = prepareRun(
    valuesOfOptions({
      model,
      dataset: rows,
      ranks: [1, 2],
      microBatchSize: 1,
      gradientAccumulationSteps: 1,
      maxSteps: 1,
      valSetSize: 0,
      computeDtype: 'f32',
      activationOffload,
      outputDir: place.in(`run-${activationOffload}`),
    }),
  );
  using opened = await openRun(prepared, openSession({ backend }));
  const { config, source, data, run } = opened;
  const sampler = atLargestRank(run.training.sampler!, 2);
  await train({ ...run.training, sampler, gradientSum: librarySum }).result;
  using dry = createDryCudaBackend();
  using other = createDryCudaBackend();
  const planned = await dryRun(config, {
    backend: dry,
    model: source.config.raw,
    dtype: 'f32',
    steps: largestSteps(config, { run, data }, other),
    judged: [],
    recompute: true,
  });
  return { usedBytes: backend.memory.usage().peakBytes, planned };
}

test.skipIf(!driver)('a plan is the ledger of the device to the byte, and counts pinned memory', async () => {
  const used: number[] = [];
  for (const activationOffload of [false, true]) {
    const { result, error } = await onFakeCuda(driver!, 'capability=8.0 seed=1', (backend) =>
      bothBooks(backend, activationOffload),
    );
    if (error) throw error as Error;
    const { usedBytes, planned } = result!;
    expect(planned.peakBytes).toBe(usedBytes);
    // of all layers but the first, in float32
    const inputBytes = (LAYERS - 1) * TOKENS * HIDDEN * 4;
    expect(planned.pinnedBytes).toBe(activationOffload ? inputBytes : 0);
    used.push(usedBytes);
  }
  expect(used[1]).toBeLessThan(used[0]);
});
