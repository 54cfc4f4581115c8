import { scaleAt, type Adapted } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { passesOfStep, runStep, sortAdapterRows, type Optimizer } from '@qdylora/trainer';
import { attach, optimizerOf, preconditionerOf, samplerOf, startAdapter } from './adapters.ts';
import { cutAt, cutState } from './cut-state.ts';
import { wideStepsOf, type Job } from './job.ts';
import type { Setting } from './setting.ts';
import type { Trained } from './train-one.ts';

/** An adapter with its own optimizer, and the ranks that it serves. */
interface RankGroup {
  readonly ranks: readonly number[];
  readonly adapted: Adapted<CausalLm>;
  readonly optimizer: Optimizer;
  /** Its learning rate over that of the run. */
  readonly rate: number;
}

/**
 * Trains several adapters in one run, with the rank schedule of a nested run. Each private rank
 * (`privateRanks`; all ranks of a `separate` job) has its own adapter, which only the tokens of this rank
 * train. The other ranks share a nested adapter. After the steps of `wideShare` its rows are sorted, and the
 * adapters of the private ranks are set to its first rows.
 */
export async function trainSeparate(setting: Setting): Promise<Trained> {
  const { job, steps, model, batches, schedule } = setting;
  const allRanks = attach(model, job, job.ranks); // plans the steps
  const sampler = samplerOf(allRanks, job);
  const groups = await rankGroups(setting);
  const wideSteps = wideStepsOf(job, steps);
  let tokens = 0;
  for (let step = 0; step < steps; step++) {
    if (wideSteps > 0 && step === wideSteps) await startFromLargest(setting, groups);
    const isWide = step < wideSteps;
    const { passes } = passesOfStep(step, batches.batchAt(step), { model: allRanks, sampler }, { isWide });
    for (const { ranks, adapted, optimizer, rate } of groups) {
      const groupPasses = passes.flatMap(({ view, batch }) => {
        const { rank } = view.active!;
        return ranks.includes(rank) ? [{ view: adapted.atRank(rank), batch }] : [];
      });
      if (groupPasses.length === 0) continue;
      const outcome = await runStep(groupPasses, optimizer, {
        learningRate: rate * schedule.at(step),
        isWide,
        preconditioner: preconditionerOf(adapted, job),
        computeDtype: 'bf16',
      });
      tokens += outcome.tokens;
    }
    if (step % 10 === 9) console.error(`${job.id} ${step + 1}/${steps}`);
  }
  for (const { optimizer } of groups) optimizer.dispose();
  const groupOf = (rank: number): RankGroup => groups.find(({ ranks }) => ranks.includes(rank))!;
  return { views: job.ranks.map((rank) => groupOf(rank).adapted.atRank(rank)), tokens };
}

async function rankGroups(setting: Setting): Promise<RankGroup[]> {
  const { job } = setting;
  const privateRanks = job.kind === 'separate' ? job.ranks : job.privateRanks;
  const sharedRanks = job.ranks.filter((rank) => !privateRanks.includes(rank));
  const privateJob = job.kind === 'separate' ? job : asDedicated(job);
  const groups: RankGroup[] = [];
  if (sharedRanks.length > 0) groups.push(await rankGroup(setting, job, sharedRanks, 1));
  for (const rank of privateRanks) groups.push(await rankGroup(setting, privateJob, [rank], job.privateRate));
  return groups;
}

/** Sorts the rows of the nested adapter, and copies the first ones into the adapters of the private ranks. */
async function startFromLargest(setting: Setting, [nested, ...others]: readonly RankGroup[]): Promise<void> {
  await sortAdapterRows(nested.adapted, nested.optimizer);
  const state = await cutState(setting, nested.adapted, 'prefix');
  for (const { ranks, adapted } of others) await adapted.load(cutAt(state, ranks[0], adapted.config));
}

/** The job with the scale and the rates of a dedicated run: alpha/√b, with the scale of rank 1 as alpha. */
const asDedicated = (job: Job): Job => ({
  ...job,
  alpha: scaleAt(job.scaling, job.alpha, 1, Math.max(...job.ranks)),
  scaling: 'sqrt',
  rankRates: 'uniform',
});

async function rankGroup(
  setting: Setting,
  job: Job,
  ranks: readonly number[],
  rate: number,
): Promise<RankGroup> {
  const adapted = attach(setting.model, job, ranks);
  await startAdapter(adapted, setting);
  return { ranks, adapted, optimizer: optimizerOf(adapted, job), rate };
}
