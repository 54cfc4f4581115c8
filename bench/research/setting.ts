import { openCheckpoint } from '@qdylora/checkpoint';
import type { Backend } from '@qdylora/contract';
import { createBatches, loadDataset, loadTokenizer, type Batches, type Example } from '@qdylora/data';
import { buildModel, type CausalLm } from '@qdylora/models';
import { learningRateSchedule, type LearningRateSchedule } from '@qdylora/trainer';
import { wideStepsOf, type Job } from './job.ts';

const MAX_SEQ_LENGTH = 512;
const WARM_UP_STEPS = 8;

export interface Files {
  readonly model: string;
  readonly dataset: string;
  readonly evalDataset: string;
  readonly outputDir: string;
}

/** The model and the data of a job. */
export interface Setting {
  readonly job: Job;
  /** Steps of the run itself, without the second phase of `squeeze`. */
  readonly steps: number;
  readonly model: CausalLm;
  /** Batches of 8 rows: for runs that never distill, for starts, and for steps after the run. */
  readonly batches: Batches;
  /** Batches of the run itself: 8 rows, or 4 if each row runs at two ranks (student `drawn`). */
  readonly runBatches: Batches;
  /** Training rows, in the order of their file. */
  readonly training: readonly Example[];
  readonly heldOut: readonly Example[];
  readonly schedule: LearningRateSchedule;
  readonly outputDir: string;
}

/** Loads the model and the rows of a job: 8 rows a step in two micro batches, without packing. */
export async function openSetting(job: Job, files: Files, backend: Backend): Promise<Setting> {
  using checkpoint = await openCheckpoint(files.model);
  const model = await buildModel(checkpoint, {
    backend,
    quantization: {
      kind: job.quantization,
      doubleQuantization: true,
      levels: [...new Set([...job.levels, ...job.evalLevels])],
    },
  });
  const options = {
    tokenizer: loadTokenizer(checkpoint.tokenizerFiles),
    maxSeqLength: MAX_SEQ_LENGTH,
    seed: job.seed,
  };
  const { training } = await loadDataset(files.dataset, options);
  const heldOut = (await loadDataset(files.evalDataset, options)).training;
  const batchesOf = (gradientAccumulationSteps: number): Batches =>
    createBatches(training, {
      microBatchSize: 4,
      gradientAccumulationSteps,
      shuffle: true,
      seed: job.seed,
      packing: false,
      maxSeqLength: MAX_SEQ_LENGTH,
    });
  const steps = job.steps - squeezeSteps(job);
  return {
    job,
    steps,
    model,
    batches: batchesOf(2),
    runBatches: batchesOf(isEachRowTwice(job) ? 1 : 2),
    training,
    heldOut,
    schedule: job.restart ? twoCosines(job, steps) : cosine(job.learningRate, steps),
    outputDir: files.outputDir,
  };
}

const isEachRowTwice = ({ distillation, distillationStudent }: Job): boolean =>
  distillation > 0 && distillationStudent === 'drawn';

/** Steps of the second phase of a squeezed run. */
export const squeezeSteps = ({ squeeze, steps }: Job): number =>
  squeeze ? Math.round(squeeze.share * steps) : 0;

/** A cosine over the steps that train the largest rank alone, then one over all other steps. */
function twoCosines(job: Job, totalSteps: number): LearningRateSchedule {
  const { learningRate } = job;
  const wideSteps = wideStepsOf(job, totalSteps);
  const first = cosine(learningRate, wideSteps);
  const second = cosine(learningRate, totalSteps - wideSteps);
  return {
    warmupSteps: first.warmupSteps,
    at: (step) => (step < wideSteps ? first.at(step) : second.at(step - wideSteps)),
  };
}

/** Warm-up over 8 steps, or a quarter of a short run, then a cosine down to a tenth. */
export const cosine = (learningRate: number, totalSteps: number): LearningRateSchedule =>
  learningRateSchedule({
    name: 'cosine',
    learningRate,
    totalSteps,
    warmupSteps: Math.min(WARM_UP_STEPS, Math.ceil(totalSteps / 4)),
    minLearningRateRatio: 0.1,
  });
