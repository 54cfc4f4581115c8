import { openCheckpoint } from '@qdylora/checkpoint';
import type { Backend } from '@qdylora/contract';
import { createBatches, loadDataset } from '@qdylora/data';
import { buildModel } from '@qdylora/models';
import type { TinyRun } from '../../examples/test-support/tiny-run.ts';
import { DEFAULTS, type Job } from './job.ts';
import { cosine, type Setting } from './setting.ts';

/** A job on the smallest Llama of the fixtures, for tests: 6 steps of 4 rows. */
export async function tinySetting(tiny: TinyRun, backend: Backend, job: Partial<Job>): Promise<Setting> {
  using checkpoint = await openCheckpoint(tiny.model);
  const { training } = await loadDataset(tiny.dataset, { tokenizer: null, maxSeqLength: 32, seed: 1 });
  const batches = createBatches(training, {
    microBatchSize: 2,
    gradientAccumulationSteps: 2,
    shuffle: true,
    seed: 1,
    packing: false,
    maxSeqLength: 32,
  });
  const tinyJob: Job = { ...DEFAULTS, id: 'tiny', steps: 6, learningRate: 1e-2, ...job };
  return {
    job: tinyJob,
    steps: tinyJob.steps,
    model: await buildModel(checkpoint, { backend, quantization: { kind: 'nf4', doubleQuantization: true } }),
    batches,
    runBatches: batches,
    training,
    heldOut: training.slice(0, 8),
    schedule: cosine(tinyJob.learningRate, tinyJob.steps),
    outputDir: tiny.folder,
  };
}
