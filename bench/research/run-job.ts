// Trains the run of one job and writes the held-out losses of its ranks as one line of JSON.
//   node --conditions=source --import tsx bench/research/run-job.ts <jobs.json> <id> --model … --dataset …
//     --eval-dataset … --output-dir …
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Backend } from '@qdylora/contract';
import { createCpuBackend } from '@qdylora/cpu-kernels';
import type { Adapted } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { finishSlices } from './finish-slices.ts';
import { heldOutLosses } from './held-out-losses.ts';
import type { Job } from './job.ts';
import { jobArguments } from './job-arguments.ts';
import { measureLevels } from './levels.ts';
import { measureBudgets } from './measure-budgets.ts';
import { measureCuts } from './measure-cuts.ts';
import { openSetting, squeezeSteps, type Files, type Setting } from './setting.ts';
import { trainMatryoshka } from './train-matryoshka.ts';
import { trainOne, type Trained } from './train-one.ts';
import { trainSeparate } from './train-separate.ts';
import { trainSqueezed } from './train-squeezed.ts';

/** Trains the run with the trainer of the job's kind. */
function trainJob(setting: Setting): Promise<Trained> {
  const { id, kind, privateRanks, distillation, levels } = setting.job;
  const isNested = privateRanks.length === 0 && (kind === 'nested' || kind === 'dedicated');
  if (!isNested && (distillation > 0 || levels.length > 1))
    throw new Error(`${id}: runs of this kind have no distillation and no levels; remove these keys.`);
  if (kind === 'matryoshka') return trainMatryoshka(setting);
  if (kind === 'separate' || privateRanks.length > 0) return trainSeparate(setting);
  return trainOne(setting);
}

/** The measurements of a job besides the losses of its ranks, on the only adapter of its run. */
async function measureMore(setting: Setting, adapted: Adapted<CausalLm>) {
  const { finish, budgetRanks, cuts, squeeze, evalLevels } = setting.job;
  return {
    byLevel: evalLevels.length > 0 ? await measureLevels(setting, adapted) : undefined,
    finished: finish ? await finishSlices(setting, adapted) : undefined,
    budgets: budgetRanks.length > 0 ? await measureBudgets(setting, adapted) : undefined,
    cut: cuts.length > 0 ? await measureCuts(setting, adapted) : undefined,
    squeezed: squeeze ? await trainSqueezed(setting, adapted, squeeze, squeezeSteps(setting.job)) : undefined,
  };
}

/** Tokens of the rows of the run. Each row counts once, even if it runs twice (distillation). */
const rowTokensOf = ({ steps, runBatches }: Setting): number =>
  Array.from({ length: steps }, (_, step) => runBatches.batchAt(step))
    .flat()
    .reduce((sum, { ids }) => sum + ids.length, 0);

async function runJob(job: Job, files: Files, backend: Backend): Promise<void> {
  const setting = await openSetting(job, files, backend);
  const start = performance.now();
  const { views, tokens, adapted } = await trainJob(setting);
  const trainSeconds = Math.round((performance.now() - start) / 1000);
  const evalRanks = job.evalRanks ?? job.ranks;
  const evalViews = evalRanks.map((rank) => views[job.ranks.indexOf(rank)]);
  const rows = await heldOutLosses(evalRanks, evalViews, setting.heldOut);
  const more = adapted && (await measureMore(setting, adapted));
  writeFileSync(
    join(files.outputDir, 'result.json'),
    JSON.stringify({ ...job, tokens, rowTokens: rowTokensOf(setting), trainSeconds, ...rows, ...more }),
  );
}

const { job, files } = jobArguments();
using backend = await createCpuBackend();
await runJob(job, files, backend);
