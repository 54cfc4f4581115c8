import { anchorLevel, type Adapted, type RankView } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { train } from '@qdylora/trainer';
import { attach, optimizerOf, preconditionerOf, samplerOf, startAdapter } from './adapters.ts';
import { wideStepsOf } from './job.ts';
import { feedbackOf, levelsOf } from './levels.ts';
import type { Setting } from './setting.ts';

const SAVE_EVERY = 50;

/** A view of the trained model for each rank, and the tokens that went through the model. */
export interface Trained {
  readonly views: readonly RankView<CausalLm>[];
  readonly tokens: number;
  /** The one adapter, if there is one. */
  readonly adapted?: Adapted<CausalLm>;
}

/** Trains one adapter, nested or of a single rank. Resumes from its newest checkpoint. */
export async function trainOne(setting: Setting): Promise<Trained> {
  const { job, steps, model, runBatches, schedule, outputDir } = setting;
  const adapted = attach(model, job, job.ranks);
  await startAdapter(adapted, setting);
  using optimizer = optimizerOf(adapted, job);
  const run = train({
    model: adapted,
    batches: runBatches,
    sampler: samplerOf(adapted, job),
    levels: levelsOf(setting),
    evaluate: feedbackOf(setting, adapted),
    optimizer,
    schedule,
    totalSteps: steps,
    wideSteps: wideStepsOf(job, steps),
    preconditioner: preconditionerOf(adapted, job),
    computeDtype: 'bf16',
    save: { folder: outputDir, every: SAVE_EVERY, totalLimit: 1 },
    resume: 'latest',
  });
  for await (const event of run)
    if (event.type === 'step' && event.step % 10 === 0)
      console.error(`${job.id} ${event.step}/${steps} ${event.smoothedLoss.toFixed(3)}`);
  const { tokens } = await run.result;
  const level = anchorLevel(job.levels);
  return { views: job.ranks.map((rank) => adapted.atRank(rank, { level })), tokens, adapted };
}
