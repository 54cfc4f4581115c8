import { sliceState, type Adapted, type AdapterState } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { trainStep, type Optimizer } from '@qdylora/trainer';
import { attach, optimizerOf } from './adapters.ts';
import { heldOutLosses } from './held-out-losses.ts';
import type { FinishRates, Job } from './job.ts';
import { cosine, type Setting } from './setting.ts';

interface SliceFinish {
  readonly rank: number;
  readonly share: number;
  readonly rates: FinishRates;
}

/** Trains slices of a nested adapter further, each rank alone on the rows that follow those of the run. */
export async function finishSlices(setting: Setting, nested: Adapted<CausalLm>) {
  const { job, heldOut } = setting;
  const state = await nested.state();
  const results = [];
  for (const finish of finishesOf(job)) {
    const { rank, rates } = finish;
    const steps = Math.ceil(finish.share * job.steps);
    const adapted = await trainSlice(setting, state, { ...finish, steps });
    const { losses, rowSums } = await heldOutLosses([rank], [adapted.atRank(rank)], heldOut);
    console.error(`${job.id} finished ${rank} (${rates}) for ${steps} steps: ${losses[rank].toFixed(4)}`);
    results.push({ ...finish, steps, loss: losses[rank], rowSums: rowSums[rank] });
  }
  return results;
}

function finishesOf(job: Job): SliceFinish[] {
  const { ranks, shares, rates = 'nested' } = job.finish!;
  return ranks.flatMap((rank) =>
    shares.flatMap((share) => [rates].flat().map((each) => ({ rank, share, rates: each }))),
  );
}

async function trainSlice(
  { job, model, batches }: Setting,
  state: AdapterState,
  { rank, rates, steps }: SliceFinish & { readonly steps: number },
): Promise<Adapted<CausalLm>> {
  const { learningRate } = job.finish!;
  const slice = sliceState(state, rank);
  const adapted = attach(model, { ...job, alpha: slice.alpha }, [rank]);
  await adapted.load(slice);
  using optimizer = sliceOptimizer(adapted, { ...job, learningRate }, rates);
  const schedule = cosine(learningRate, steps);
  for (let step = 0; step < steps; step++)
    await trainStep(adapted.atRank(rank), batches.batchAt(job.steps + step), optimizer, {
      learningRate: schedule.at(step),
      computeDtype: 'bf16',
    });
  return adapted;
}

/** Under a scale that is the same at every rank, 1/√rank is what alpha/√rank is for AdamW. */
function sliceOptimizer(adapted: Adapted<CausalLm>, job: Job, rates: FinishRates): Optimizer {
  if (rates === 'nested') return optimizerOf(adapted, job, job.ranks);
  const isSameScale = job.scaling === 'uniform' || job.scaling === 'constant';
  return optimizerOf(adapted, { ...job, rankRates: isSameScale ? 'inverse_sqrt' : 'uniform' });
}
