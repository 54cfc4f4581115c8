// One measurement of training-step.bench.ts: the order comes as JSON, one row of JSON goes to standard
// output.
import { readFileSync } from 'node:fs';
import { openCheckpoint } from '@qdylora/checkpoint';
import { wrapBackend } from '@qdylora/contract';
import { ceilingOf, createCpuBackend, loadAddon } from '@qdylora/cpu-kernels';
import { collate } from '@qdylora/data';
import { attachDyLora } from '@qdylora/lora-dynamic';
import { buildModel } from '@qdylora/models';
import { adamw, createPassRecorder, trainStep } from '@qdylora/trainer';
import { median } from './median.mjs';

const {
  model: folder,
  steps,
  rows,
  length,
  threads,
  computeDtype,
  checkpointing,
  isRecorded,
} = JSON.parse(process.argv[2]);

/** Seconds inside the addon: in one of its functions, or in a replay. */
const addonTime = { seconds: 0 };
timeAddon(addonTime);

/** Floating-point operations that the ops of one step count. */
const operations = await countOperations();

const cpu = await createCpuBackend({ numThreads: threads });
const backend = isRecorded ? cpu : wrapBackend(cpu, { record: undefined });
const { vocabularySize, adapted, optimizer } = await prepare(backend);
const recorder = isRecorded ? createPassRecorder(backend) : null;
const peakNow = ceilingOf(cpu, computeDtype);
const seconds = [];
const sharesOutside = [];
let peak = 0;
let loss = NaN;
// The first step makes room, the second one records.
for (let step = -2; step < steps; step++) {
  const batch = batchOf(step + 2, vocabularySize);
  addonTime.seconds = 0;
  const start = performance.now();
  ({ loss } = await trainStep(adapted.atRank(64), batch, optimizer, {
    recompute: checkpointing,
    computeDtype,
    recorder,
    rows: null, // all rows, as `train` does with update rule `prefix`
  }));
  const stepSeconds = (performance.now() - start) / 1000;
  if (step >= 0) {
    seconds.push(stepSeconds);
    sharesOutside.push(1 - addonTime.seconds / stepSeconds);
  }
  for (let i = 0; i < 20; i++) peak = Math.max(peak, peakNow());
}
if (!Number.isFinite(loss)) throw new Error('The loss is not finite.');
const [, peakKibibytes] = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'));
console.log(
  JSON.stringify({
    who: `qdylora ${backend.level}`,
    checkpointing,
    tokens_per_second: (rows * length) / median(seconds),
    outside_kernels: median(sharesOutside),
    of_ceiling: operations / median(seconds) / 1e9 / peak,
    mflop_per_token: operations / (rows * length) / 1e6,
    peak_gb: (Number(peakKibibytes) * 1024) / 1e9,
    loss,
  }),
);

async function prepare(target) {
  const checkpoint = await openCheckpoint(folder);
  const model = await buildModel(checkpoint, { backend: target });
  checkpoint.dispose();
  const layers = attachDyLora(model, { ranks: [1, 2, 4, 8, 16, 32, 64], seed: 7 });
  const adamW = adamw(layers.parameters(), { learningRate: 2e-4 });
  return { vocabularySize: model.config.vocabularySize, adapted: layers, optimizer: adamW };
}

/** Token ids by a formula; they change from step to step. */
function batchOf(step, vocabulary) {
  const example = (row) =>
    Int32Array.from({ length }, (_, t) => (step * 7919 + row * 104729 + t * 31) % vocabulary);
  return collate(Array.from({ length: rows }, (_, row) => ({ ids: example(row), labels: example(row) })));
}

/** A backend that measures replays nothing, so the count has a backend of its own, gone afterwards. */
async function countOperations() {
  const counted = await createCpuBackend({ numThreads: threads });
  let sum = 0;
  const target = wrapBackend(counted, {
    measure: ({ op, inputs, attributes }, run) => {
      sum += op.flops?.(inputs, attributes) ?? 0;
      run();
    },
  });
  const run = await prepare(target);
  await trainStep(run.adapted.atRank(64), batchOf(0, run.vocabularySize), run.optimizer, {
    recompute: checkpointing,
    computeDtype,
  });
  counted.dispose();
  return sum;
}

/** Adds up the time that the addon's functions and replays take. */
function timeAddon(total) {
  const { addon, reason } = loadAddon();
  if (!addon) throw new Error(reason);
  const timed = (call) =>
    Object.assign(
      (...parameters) => {
        const start = performance.now();
        try {
          return call(...parameters);
        } finally {
          total.seconds += (performance.now() - start) / 1000;
        }
      },
      { lists: call.lists },
    );
  const { open } = addon;
  addon.open = (...parameters) => {
    const instance = open(...parameters);
    const functions = Object.fromEntries(
      Object.entries(instance.functions).map(([name, call]) => [name, timed(call)]),
    );
    return { ...instance, functions, replay: timed(instance.replay) };
  };
}
