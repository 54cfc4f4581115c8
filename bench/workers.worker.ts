/**
 * A worker of workers.bench.ts: trains a model on random tokens. Worker 0 prints a row of JSON. The order
 * comes as JSON.
 */
import { openCheckpoint } from '@qdylora/checkpoint';
import { connectWorld, oneProcess, sumInOrder, type Communicator } from '@qdylora/collectives';
import { createRng } from '@qdylora/contract';
import { createCpuBackend } from '@qdylora/cpu-kernels';
import { createBatches, type Example } from '@qdylora/data';
import { attachDyLora } from '@qdylora/lora-dynamic';
import { buildModel } from '@qdylora/models';
import { createOptimizer, learningRateSchedule, train } from '@qdylora/trainer';
import { median } from './median.mjs';
import { timedWorld } from './timed-world.ts';
import type { LinkCosts, WorkerOrder, WorkerRow } from './workers.bench.ts';

const order = JSON.parse(process.argv[2]) as WorkerOrder;
const { model: modelFolder, rank, tokens, microBatches, steps } = order;

/** The first steps make room and record. */
const WARM_STEPS = 3;

/** Elements that a large exchange sends to each worker: 4 MB. */
const LARGE = 1_000_000;

const world = await connectWorld();
const timed = timedWorld(world);
const row = {
  ...(await trainTimed()),
  ...(await linkCosts(world)),
  secondsPerGradientByte: await addingCosts(),
};
if (world.rank === 0) console.log(JSON.stringify(row));
await world.close();

async function trainTimed(): Promise<Omit<WorkerRow, keyof LinkCosts | 'secondsPerGradientByte'>> {
  const backend = await createCpuBackend({ numThreads: 1 });
  using checkpoint = await openCheckpoint(modelFolder);
  const workers = world.library === oneProcess().library ? null : timed.world;
  const model = await buildModel(checkpoint, { backend, quantization: { kind: 'nf4' }, workers });
  const adapted = attachDyLora(model, { ranks: [rank], alpha: rank, dropout: 0, seed: 1 });
  const optimizer = createOptimizer('adamw_32bit', adapted.parameters(), { learningRate: 1e-3 });
  const totalSteps = WARM_STEPS + steps;
  const stepSeconds: number[] = [];
  const waits: number[] = [];
  let before = timed.seconds;
  const run = train({
    model: adapted,
    optimizer,
    totalSteps,
    workers,
    sampler: null,
    batches: createBatches(randomExamples(model.vocabularySize), {
      microBatchSize: 1,
      gradientAccumulationSteps: microBatches,
      shuffle: true,
      seed: 1,
      packing: false,
      maxSeqLength: tokens,
    }),
    schedule: learningRateSchedule({ name: 'constant', learningRate: 1e-3, totalSteps }),
    onStep(event) {
      stepSeconds.push(event.stepSeconds);
      waits.push(timed.seconds - before);
      before = timed.seconds;
    },
  });
  await run.result;
  const warm = stepSeconds.slice(WARM_STEPS);
  return {
    stepSeconds: median(warm),
    spread: spreadOf(warm),
    communicationSeconds: median(waits.slice(WARM_STEPS)),
    gradientElements: adapted.parameters().reduce((sum, { view }) => sum + view.shape[0] * view.shape[1], 0),
  };
}

/** The standard deviation as a share of the median, from the quartiles: a few steps are disturbed. */
function spreadOf(values: readonly number[]): number {
  const rising = values.toSorted((a, b) => a - b);
  const quartile = (share: number): number => rising[Math.round(share * (rising.length - 1))];
  return (quartile(0.75) - quartile(0.25)) / 1.35 / median(values); // 1.35: of a normal distribution
}

/** Examples of equal length, so that all passes take equally long. */
function randomExamples(vocabulary: number): Example[] {
  const rng = createRng(1);
  return Array.from({ length: 64 }, (_, example) => {
    const ids = Int32Array.from({ length: tokens }, (_, i) =>
      Math.floor(rng.uniform(example, i) * vocabulary),
    );
    return { ids, labels: ids };
  });
}

/**
 * What the sum of two workers costs one of them beside the link, for each byte: packing, adding and writing
 * back. Here nothing is sent: parts are copied within this process.
 */
async function addingCosts(): Promise<number> {
  const gradient = new Float32Array(LARGE).fill(1);
  const copying = {
    ...oneProcess(),
    size: 2,
    allToAll: async (parts: Float32Array, received: Float32Array) => received.set(parts),
    allGather: async (part: Float32Array, all: Float32Array) => all.set(part),
  } as Communicator;
  const seconds: number[] = [];
  for (let repeat = 0; repeat < 9; repeat++) {
    const start = performance.now();
    const sum = await sumInOrder(copying, { count: 2, sums: [gradient.slice()], length: LARGE });
    gradient.set(sum);
    seconds.push((performance.now() - start) / 1000);
    gradient.fill(1);
  }
  const rounds = 2; // that of the one block, and the gather: as `simulateStep` counts them
  return median(seconds) / gradient.byteLength / rounds;
}

/** What an exchange costs on this link: seconds of a tiny one, and bytes a second of a large one. */
async function linkCosts(workers: Communicator): Promise<LinkCosts> {
  const timeOf = async (length: number, repeats: number): Promise<number> => {
    const parts = new Float32Array(length * workers.size);
    const received = new Float32Array(length * workers.size);
    const seconds: number[] = [];
    for (let repeat = 0; repeat < repeats; repeat++) {
      const start = performance.now();
      await workers.allToAll(parts, received);
      seconds.push((performance.now() - start) / 1000);
    }
    return median(seconds);
  };
  const tiny = await timeOf(1, 15);
  const large = await timeOf(LARGE, 5);
  const sentBytes = 4 * LARGE * (workers.size - 1);
  return { latencySeconds: tiny, bytesPerSecond: sentBytes / Math.max(1e-9, large - tiny) };
}
