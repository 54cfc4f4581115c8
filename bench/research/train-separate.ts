import { passesOfStep, runStep } from '@qdylora/trainer';
import { attach, optimizerOf, samplerOf } from './adapters.ts';
import type { Setting } from './setting.ts';
import type { Trained } from './train-one.ts';

/** Trains an adapter for each rank, in one run with the schedule of a nested one. */
export async function trainSeparate({ job, model, batches, schedule }: Setting): Promise<Trained> {
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
