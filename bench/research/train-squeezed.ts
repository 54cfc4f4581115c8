import type { Adapted } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { trainStep } from '@qdylora/trainer';
import { attach, optimizerOf } from './adapters.ts';
import { cutAt, cutState } from './cut-state.ts';
import { heldOutLosses, type LossesByRank } from './held-out-losses.ts';
import type { Squeeze } from './job.ts';
import { cosine, type Setting } from './setting.ts';

/**
 * Trains cuts of a wide adapter further, each rank alone, and measures them. Each cut has the scale of a
 * dedicated run of its rank, and its own optimizer and schedule.
 */
export async function trainSqueezed(
  setting: Setting,
  adapted: Adapted<CausalLm>,
  { cut, ranks, learningRate }: Squeeze,
  squeezeSteps: number,
): Promise<Omit<LossesByRank, 'rowCounts'> & { readonly steps: number }> {
  const { job, steps, model, batches, heldOut } = setting;
  const state = await cutState(setting, adapted, cut);
  const schedule = cosine(learningRate, squeezeSteps);
  const views = [];
  for (const rank of ranks) {
    const slice = attach(model, job, [rank]);
    await slice.load(cutAt(state, rank, job));
    const view = slice.atRank(rank);
    using optimizer = optimizerOf(slice, { ...job, learningRate });
    for (let step = 0; step < squeezeSteps; step++)
      await trainStep(view, batches.batchAt(steps + step), optimizer, {
        learningRate: schedule.at(step),
        computeDtype: 'bf16',
      });
    console.error(`${job.id} squeezed to ${rank} for ${squeezeSteps} steps`);
    views.push(view);
  }
  const { losses, rowSums } = await heldOutLosses(ranks, views, heldOut);
  return { losses, rowSums, steps: squeezeSteps };
}
