import { join } from 'node:path';
import { FLAT_SCALINGS, sliceState, type Adapted, type AdapterState } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { startOptimizer, trainStep, type Optimizer } from '@qdylora/trainer';
import { attach, optimizerOf } from './adapters.ts';
import { heldOutLosses } from './held-out-losses.ts';
import type { FinishMoments, FinishRates, Job } from './job.ts';
import { cosine, type Setting } from './setting.ts';

interface SliceFinish {
  readonly rank: number;
  readonly share: number;
  readonly learningRate: number;
  readonly rates: FinishRates;
  readonly moments: FinishMoments;
}

/** Trains slices of a nested adapter further, each rank alone, on the batches after those of the run. */
export async function finishSlices(setting: Setting, nested: Adapted<CausalLm>) {
  const { job, steps: runSteps, heldOut } = setting;
  const state = await nested.state();
  const results = [];
  for (const finish of finishesOf(job)) {
    const { rank, learningRate, rates, moments } = finish;
    const steps = Math.ceil(finish.share * runSteps);
    const adapted = await trainSlice(setting, state, { ...finish, steps });
    const { losses, rowSums } = await heldOutLosses([rank], [adapted.atRank(rank)], heldOut);
    const how = `${learningRate}, ${rates} rates, ${moments} moments, ${steps} steps`;
    console.error(`${job.id} finished ${rank} (${how}): ${losses[rank].toFixed(4)}`);
    results.push({ ...finish, steps, loss: losses[rank], rowSums: rowSums[rank] });
  }
  return results;
}

function* finishesOf({ finish }: Job): Generator<SliceFinish> {
  for (const { ranks, shares, learningRate, rates = 'nested', moments = 'zero' } of [finish ?? []].flat())
    for (const rank of ranks)
      for (const share of shares)
        for (const each of [rates].flat()) yield { rank, share, learningRate, rates: each, moments };
}

async function trainSlice(
  { job, steps: runSteps, model, batches, outputDir }: Setting,
  state: AdapterState,
  { rank, learningRate, rates, moments, steps }: SliceFinish & { readonly steps: number },
): Promise<Adapted<CausalLm>> {
  const slice = sliceState(state, rank);
  const adapted = attach(model, { ...job, alpha: slice.alpha }, [rank]);
  await adapted.load(slice);
  using optimizer = sliceOptimizer(adapted, { ...job, learningRate }, rates);
  if (moments === 'kept') {
    optimizer.prepare(model.backend);
    startOptimizer(optimizer, join(outputDir, `checkpoints/step-${runSteps}`));
  }
  const schedule = cosine(learningRate, steps);
  for (let step = 0; step < steps; step++)
    await trainStep(adapted.atRank(rank), batches.batchAt(runSteps + step), optimizer, {
      learningRate: schedule.at(step),
      computeDtype: 'bf16',
    });
  return adapted;
}

/**
 * `dedicated`: the rates of a dedicated run. AdamW's steps ignore the gradient's scale, so a flat scale with
 * row rates 1/√rank moves the output as the scale alpha/√rank does with uniform rates.
 */
function sliceOptimizer(adapted: Adapted<CausalLm>, job: Job, rates: FinishRates): Optimizer {
  if (rates === 'nested') return optimizerOf(adapted, job, job.ranks);
  const isFlat = FLAT_SCALINGS.includes(job.scaling);
  return optimizerOf(adapted, { ...job, rankRates: isFlat ? 'inverse_sqrt' : 'uniform' });
}
