// Trains the run of one job and writes the held-out losses of its ranks as one line of JSON.
//   node --conditions=source --import tsx bench/research/run-job.ts <jobs.json> <id> --model … --dataset …
//     --eval-dataset … --output-dir …
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Backend } from '@qdylora/contract';
import { createCpuBackend } from '@qdylora/cpu-kernels';
import { finishSlices } from './finish-slices.ts';
import { heldOutLosses } from './held-out-losses.ts';
import { readJobs, type Job } from './job.ts';
import { measureBudgets } from './measure-budgets.ts';
import { openSetting, type Files } from './setting.ts';
import { trainOne } from './train-one.ts';
import { trainSeparate } from './train-separate.ts';

async function runJob(job: Job, files: Files, backend: Backend): Promise<void> {
  const setting = await openSetting(job, files, backend);
  const start = performance.now();
  const { views, tokens, adapted } = await (job.kind === 'separate'
    ? trainSeparate(setting)
    : trainOne(setting));
  const trainSeconds = (performance.now() - start) / 1000;
  const rows = await heldOutLosses(job.ranks, views, setting.heldOut);
  const finished = job.finish && adapted ? await finishSlices(setting, adapted) : undefined;
  const budgets = adapted && job.budgetRanks.length > 0 ? await measureBudgets(setting, adapted) : undefined;
  writeFileSync(
    join(files.outputDir, 'result.json'),
    JSON.stringify({ ...job, tokens, trainSeconds: Math.round(trainSeconds), ...rows, finished, budgets }),
  );
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
