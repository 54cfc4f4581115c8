// Writes a dedicated run as files that PEFT can train from: its first adapter, the tokens of its steps, its
// rates and the held-out rows. `--check-steps` trains some steps here and prints their losses.
//   node --conditions=source --import tsx bench/research/export-run.ts <jobs.json> <id> --model …
//     --dataset … --eval-dataset … --output-dir … [--check-steps 3] [--compute f32]
// Then: python bench/research/peft-run.py --model … --run <output-dir>
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writePeftAdapter } from '@qdylora/checkpoint';
import { createCpuBackend } from '@qdylora/cpu-kernels';
import { NOT_COUNTED, type TokenBatch } from '@qdylora/data';
import { peftScaling, sliceRank, type Adapted } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { trainStep } from '@qdylora/trainer';
import { attach, optimizerOf } from './adapters.ts';
import { jobArguments } from './job-arguments.ts';
import { openSetting, type Setting } from './setting.ts';

/** One micro batch as arrays of JSON: rows of ids and of the targets of the positions before them. */
const rowsOf = ({ ids, targets, segments }: TokenBatch) =>
  [...segments].slice(0, -1).map((start, row) => ({
    ids: [...ids.subarray(start, segments[row + 1])],
    targets: [...targets.subarray(start, segments[row + 1])],
  }));

/** The rows, the rates and the clipping that PEFT must follow. */
function writeRun({ job, steps: runSteps, batches, heldOut, schedule, outputDir }: Setting): void {
  const steps = Array.from({ length: runSteps }, (_, step) => ({
    learningRate: schedule.at(step),
    rows: batches.batchAt(step).flatMap(rowsOf),
  }));
  const heldOutRows = heldOut.map(({ ids, labels }) => ({
    ids: [...ids],
    targets: [...labels.subarray(1), NOT_COUNTED],
  }));
  writeFileSync(
    join(outputDir, 'run.json'),
    JSON.stringify({ id: job.id, rank: job.ranks[0], steps, heldOut: heldOutRows }),
  );
}

async function writeFirstAdapter(setting: Setting, adapted: Adapted<CausalLm>): Promise<void> {
  const { job, outputDir } = setting;
  const [rank] = job.ranks;
  await writePeftAdapter(join(outputDir, 'adapter'), {
    ...sliceRank(await adapted.state(), rank),
    ...peftScaling(job.scaling, job.alpha, rank, rank),
    replace: true,
  });
}

/** Losses of the first steps, for a comparison step by step. */
async function checkSteps({ job, batches, schedule }: Setting, adapted: Adapted<CausalLm>): Promise<void> {
  using optimizer = optimizerOf(adapted, job);
  for (let step = 0; step < stepCount; step++) {
    const { loss, gradNorm } = await trainStep(
      adapted.atRank(job.ranks[0]),
      batches.batchAt(step),
      optimizer,
      { learningRate: schedule.at(step), computeDtype },
    );
    console.log(JSON.stringify({ step, loss, gradNorm }));
  }
}

const { job, files, checkSteps: stepCount, computeDtype } = jobArguments();
if (job.kind !== 'dedicated') throw new Error(`${job.id} is ${job.kind}; PEFT trains dedicated runs.`);
using backend = await createCpuBackend();
const setting = await openSetting(job, files, backend);
const adapted = attach(setting.model, job, job.ranks);
writeRun(setting);
await writeFirstAdapter(setting, adapted);
await checkSteps(setting, adapted);
