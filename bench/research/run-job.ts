// Trains the run of one job and writes the held-out losses of its ranks as one line of JSON.
//   node --conditions=source --import tsx bench/research/run-job.ts <jobs.json> <id> --model … --dataset …
//     --eval-dataset … --output-dir …
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openCheckpoint } from '@qdylora/checkpoint';
import type { Backend } from '@qdylora/contract';
import { createCpuBackend } from '@qdylora/cpu-kernels';
import { createBatches, loadDataset, loadTokenizer, type Batches, type Example } from '@qdylora/data';
import { perplexity } from '@qdylora/eval';
import {
  allocateRanks,
  attachDyLora,
  observeInputs,
  rankSampler,
  sliceState,
  sortByMoments,
  type Adapted,
  type RankView,
} from '@qdylora/lora-dynamic';
import { buildModel, type CausalLm } from '@qdylora/models';
import { inferenceContext } from '@qdylora/tensor';
import {
  adamw,
  adapterRowRates,
  learningRateSchedule,
  passesOfStep,
  runStep,
  startFromActivations,
  startFromGradients,
  train,
  trainStep,
  type LearningRateSchedule,
  type Optimizer,
} from '@qdylora/trainer';
import { readJobs, type Job } from './job.ts';

const MAX_SEQ_LENGTH = 512;
const WARM_UP_STEPS = 8;
const SAVE_EVERY = 50;
/** Tokens of one forward pass of the evaluation. */
const TOKENS_PER_BATCH = 2048;

interface Files {
  readonly model: string;
  readonly dataset: string;
  readonly evalDataset: string;
  readonly outputDir: string;
}

/** What a job works with. */
interface Setting {
  readonly job: Job;
  readonly model: CausalLm;
  readonly batches: Batches;
  readonly schedule: LearningRateSchedule;
  readonly outputDir: string;
}

/** A view of the trained model for each rank, and the tokens that went through the model. */
interface Trained {
  readonly views: readonly RankView<CausalLm>[];
  readonly tokens: number;
  /** The one adapter, if there is one. */
  readonly adapted?: Adapted<CausalLm>;
}

async function runJob(job: Job, files: Files, backend: Backend): Promise<void> {
  using checkpoint = await openCheckpoint(files.model);
  const model = await buildModel(checkpoint, {
    backend,
    quantization: { kind: 'nf4', doubleQuantization: true },
  });
  const options = {
    tokenizer: loadTokenizer(checkpoint.tokenizerFiles),
    maxSeqLength: MAX_SEQ_LENGTH,
    seed: job.seed,
  };
  const { training } = await loadDataset(files.dataset, options);
  const heldOut = (await loadDataset(files.evalDataset, options)).training;
  const batches = createBatches(training, {
    microBatchSize: 4,
    gradientAccumulationSteps: 2,
    shuffle: true,
    seed: job.seed,
    packing: false,
    maxSeqLength: MAX_SEQ_LENGTH,
  });
  const schedule = learningRateSchedule({
    name: 'cosine',
    learningRate: job.learningRate,
    totalSteps: job.steps,
    warmupSteps: WARM_UP_STEPS,
    minLearningRateRatio: 0.1,
  });
  const setting: Setting = { job, model, batches, schedule, outputDir: files.outputDir };
  const start = performance.now();
  const { views, tokens, adapted } = await (job.kind === 'separate'
    ? trainSeparate(setting)
    : trainOne(setting));
  const trainSeconds = (performance.now() - start) / 1000;
  const rows = await lossesOf(job.ranks, views, heldOut);
  const finished = job.finish && adapted ? await finishSlices(setting, adapted, heldOut) : undefined;
  const budgets =
    adapted && job.budgetRanks.length > 0 ? await measureBudgets(setting, adapted, heldOut) : undefined;
  writeFileSync(
    join(files.outputDir, 'result.json'),
    JSON.stringify({ ...job, tokens, trainSeconds: Math.round(trainSeconds), ...rows, finished, budgets }),
  );
}

const attach = (model: CausalLm, job: Job, ranks: readonly number[]): Adapted<CausalLm> =>
  attachDyLora(model, { ranks, alpha: job.alpha, scaling: job.scaling, seed: job.seed });

const optimizerOf = (adapted: Adapted<CausalLm>, { learningRate, bRatio, rankRates }: Job): Optimizer =>
  adamw(adapted.parameters(), {
    learningRate,
    rowRates: adapterRowRates(adapted, { bRatio, rankRates }),
  });

const samplerOf = ({ ranks }: Adapted<CausalLm>, { schedule, distribution, seed }: Job) =>
  ranks.ranks.length === 1 ? null : rankSampler(ranks, { schedule, distribution, seed });

/** Steps whose rows the gradient start sees: 64 rows. */
const START_STEPS = 8;

async function start(adapted: Adapted<CausalLm>, { job, model, batches }: Setting): Promise<void> {
  if (job.init === 'kaiming') return;
  const rows = Array.from({ length: START_STEPS }, (_, step) => batches.batchAt(step)).flat();
  const options = { seed: job.seed, computeDtype: 'bf16', rowNorm: job.initRowNorm ?? undefined } as const;
  if (job.init === 'gradient') await startFromGradients(adapted, rows, options);
  else await startFromActivations(model, adapted, rows, options);
}

/** One adapter, nested or of a single rank. Goes on from its newest checkpoint. */
async function trainOne(setting: Setting): Promise<Trained> {
  const { job, model, batches, schedule, outputDir } = setting;
  const adapted = attach(model, job, job.ranks);
  await start(adapted, setting);
  using optimizer = optimizerOf(adapted, job);
  const run = train({
    model: adapted,
    batches,
    sampler: samplerOf(adapted, job),
    optimizer,
    schedule,
    totalSteps: job.steps,
    computeDtype: 'bf16',
    save: { folder: outputDir, every: SAVE_EVERY, totalLimit: 1 },
    resume: 'latest',
  });
  for await (const event of run)
    if (event.type === 'step' && event.step % 10 === 0)
      console.error(`${job.id} ${event.step}/${job.steps} ${event.smoothedLoss.toFixed(3)}`);
  const { tokens } = await run.result;
  return { views: job.ranks.map((rank) => adapted.atRank(rank)), tokens, adapted };
}

/** An adapter for each rank, in one run with the schedule of a nested one. */
async function trainSeparate({ job, model, batches, schedule }: Setting): Promise<Trained> {
  const nested = attach(model, job, job.ranks);
  const sampler = samplerOf(nested, job);
  const adapters = new Map(job.ranks.map((rank) => [rank, attach(model, job, [rank])]));
  const optimizers = new Map([...adapters].map(([rank, adapted]) => [rank, optimizerOf(adapted, job)]));
  let tokens = 0;
  for (let step = 0; step < job.steps; step++) {
    const { passes } = passesOfStep(step, batches.batchAt(step), nested, sampler);
    const passRanks = passes.map(({ view }) => view.active!.rank);
    for (const rank of new Set(passRanks)) {
      const view = adapters.get(rank)!.atRank(rank);
      const ofRank = passes.filter((_, i) => passRanks[i] === rank).map(({ batch }) => ({ view, batch }));
      const outcome = await runStep(ofRank, optimizers.get(rank)!, {
        learningRate: schedule.at(step),
        computeDtype: 'bf16',
      });
      tokens += outcome.tokens;
    }
    if (step % 10 === 9) console.error(`${job.id} ${step + 1}/${job.steps}`);
  }
  return { views: [...adapters].map(([rank, adapted]) => adapted.atRank(rank)), tokens };
}

/** Trains slices of a nested adapter further, each rank alone on the rows that follow those of the run. */
async function finishSlices(setting: Setting, nested: Adapted<CausalLm>, heldOut: readonly Example[]) {
  const { job, model, batches } = setting;
  const { ranks, shares, learningRate } = job.finish!;
  const state = await nested.state();
  const results = [];
  for (const rank of ranks)
    for (const share of shares) {
      const totalSteps = Math.ceil(share * job.steps);
      const slice = sliceState(state, rank);
      const adapted = attach(model, { ...job, alpha: slice.alpha }, [rank]);
      await adapted.load(slice);
      using optimizer = optimizerOf(adapted, { ...job, learningRate, rankRates: 'uniform' });
      const schedule = learningRateSchedule({
        name: 'cosine',
        learningRate,
        totalSteps,
        warmupSteps: Math.min(WARM_UP_STEPS, Math.ceil(totalSteps / 4)),
        minLearningRateRatio: 0.1,
      });
      for (let step = 0; step < totalSteps; step++)
        await trainStep(adapted.atRank(rank), batches.batchAt(job.steps + step), optimizer, {
          learningRate: schedule.at(step),
          computeDtype: 'bf16',
        });
      const { losses, rowSums } = await lossesOf([rank], [adapted.atRank(rank)], heldOut);
      console.error(`${job.id} finished ${rank} for ${totalSteps} steps: ${losses[rank].toFixed(4)}`);
      results.push({ rank, share, steps: totalSteps, loss: losses[rank], rowSums: rowSums[rank] });
    }
  return results;
}

/** Tokens that decide the energies: those of the first 8 steps, 64 rows. */
const BUDGET_STEPS = 8;

/** Losses of adapters of the bytes of some ranks, cut by energy: at one rank everywhere, and per layer. */
async function measureBudgets(
  { job, model, batches }: Setting,
  nested: Adapted<CausalLm>,
  heldOut: readonly Example[],
) {
  const { maxRank } = nested.ranks;
  const state = await nested.state();
  using observer = observeInputs(model, nested);
  for (let step = 0; step < BUDGET_STEPS; step++)
    for (const batch of batches.batchAt(step))
      model.backend.memory.scoped(() => {
        const context = { ...inferenceContext(model.backend), active: observer.view.active };
        observer.view.model.loss({ ...context, computeDtype: 'bf16' }, batch, { lossScale: 1 });
      });
  const sorted = sortByMoments(state, await observer.sums());
  const rowBytes = sorted.reduce(
    (sum, { inFeatures, outFeatures }) => sum + 4 * (inFeatures + outFeatures),
    0,
  );
  const adapted = attach(model, { ...job, scaling: 'constant', alpha: maxRank }, [maxRank]);
  const results = [];
  for (const budgetRank of job.budgetRanks)
    for (const kind of ['uniform', 'per-layer'] as const) {
      const ranks =
        kind === 'uniform'
          ? new Map(sorted.map(({ name }) => [name, budgetRank]))
          : allocateRanks(sorted, budgetRank * rowBytes);
      const layers = sorted.map((layer) => {
        const rank = ranks.get(layer.name)!;
        return {
          ...layer,
          a: layer.a.map((value, i) => (i < rank * layer.inFeatures ? value : 0)),
          b: layer.b.map((value, i) => (i < rank * layer.outFeatures ? value : 0)),
        };
      });
      await adapted.load({ ranks: [maxRank], maxRank, alpha: maxRank, scaling: 'constant', layers });
      const { losses, rowSums } = await lossesOf([maxRank], [adapted.atRank(maxRank)], heldOut);
      console.error(`${job.id} ${kind} ${budgetRank}: ${losses[maxRank].toFixed(4)}`);
      results.push({
        kind,
        budgetRank,
        ranks: [...ranks.values()],
        loss: losses[maxRank],
        rowSums: rowSums[maxRank],
      });
    }
  return results;
}

/** Held-out loss at each rank, and the loss of every row, for paired comparisons between runs. */
async function lossesOf(
  ranks: readonly number[],
  views: readonly RankView<CausalLm>[],
  heldOut: readonly Example[],
) {
  const results = await perplexity(heldOut, { tokensPerBatch: TOKENS_PER_BATCH }).measure(views, {
    computeDtype: 'bf16',
  });
  const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
  return {
    losses: Object.fromEntries(ranks.map((rank, i) => [rank, sum(results[i].sums) / sum(results[i].counts)])),
    rowSums: Object.fromEntries(
      ranks.map((rank, i) => [rank, [...results[i].sums].map((value) => Number(value.toFixed(3)))]),
    ),
    rowCounts: [...results[0].counts],
  };
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string' },
    dataset: { type: 'string' },
    'eval-dataset': { type: 'string' },
    'output-dir': { type: 'string' },
  },
});
const [file, id] = positionals;
const job = readJobs(file).find((each) => each.id === id);
if (!job) throw new Error(`${file} has no job ${id}`);
using backend = await createCpuBackend();
await runJob(
  job,
  {
    model: values.model!,
    dataset: values.dataset!,
    evalDataset: values['eval-dataset']!,
    outputDir: values['output-dir']!,
  },
  backend,
);
