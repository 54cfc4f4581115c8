/**
 * What the trainer's promises cost, against a plain QLoRA step (r = 64, all linear layers, NF4 with double
 * quantization) of the same model in the same run.
 *
 *     npm run bench trainer-costs -- --model ../smollm2 [--only ranks|states|paging|save|events] [--steps 7]
 *         [--micro-batch 4] [--seq 256] [--threads 2] [--all] [--each-rank] [--modes regexp]
 *         [--scratch folder]
 *
 * - ranks: every way to draw ranks, the same tokens in turn, step by step. `--all` adds the schedule `all`;
 *   `--each-rank` measures each rank by itself, and the mean over the draws of each distribution, instead;
 *   `--modes` keeps those whose names fit.
 * - states: AdamW with 8-bit states against 32-bit ones.
 * - paging: half of the states on pages.
 * - save: a checkpoint against its own bytes in one file with one fsync.
 * - events: log, TensorBoard and a reader, as the share of a run's wall time that lies outside of its steps.
 *
 * Each part checks first that what it times is right.
 */
import { openCheckpoint } from '@qdylora/checkpoint';
import { createCpuBackend } from '@qdylora/cpu-kernels';
import { buildModel } from '@qdylora/models';
import { benchEvents } from './trainer-costs/bench-events.ts';
import { benchPaging } from './trainer-costs/bench-paging.ts';
import { benchRanks } from './trainer-costs/bench-ranks.ts';
import { benchSave } from './trainer-costs/bench-save.ts';
import { benchStates } from './trainer-costs/bench-states.ts';
import { COST_OPTIONS } from './trainer-costs/cost-options.ts';

/** The parts that measure steps of one model. */
const PARTS = { ranks: benchRanks, states: benchStates, paging: benchPaging, save: benchSave };

const { model: folder, only, threads, computeDtype } = COST_OPTIONS;
const backend = await createCpuBackend({ numThreads: threads });
console.log(`${folder}, ${backend.name} ${backend.level}, ${threads} threads, ${computeDtype}`);
{
  using checkpoint = await openCheckpoint(folder);
  const model = await buildModel(checkpoint, { backend });
  for (const [name, bench] of Object.entries(PARTS)) if (!only || only === name) await bench(model);
}
if (!only || only === 'events') await benchEvents();
