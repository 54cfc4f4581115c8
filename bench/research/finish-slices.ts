import { sliceState, type Adapted } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { trainStep } from '@qdylora/trainer';
import { attach, optimizerOf } from './adapters.ts';
import { heldOutLosses } from './held-out-losses.ts';
import { cosine, type Setting } from './setting.ts';

/** Trains slices of a nested adapter further, each rank alone on the rows that follow those of the run. */
export async function finishSlices({ job, model, batches, heldOut }: Setting, nested: Adapted<CausalLm>) {
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
      const schedule = cosine(learningRate, totalSteps);
      for (let step = 0; step < totalSteps; step++)
        await trainStep(adapted.atRank(rank), batches.batchAt(job.steps + step), optimizer, {
          learningRate: schedule.at(step),
          computeDtype: 'bf16',
        });
      const { losses, rowSums } = await heldOutLosses([rank], [adapted.atRank(rank)], heldOut);
      console.error(`${job.id} finished ${rank} for ${totalSteps} steps: ${losses[rank].toFixed(4)}`);
      results.push({ rank, share, steps: totalSteps, loss: losses[rank], rowSums: rowSums[rank] });
    }
  return results;
}
