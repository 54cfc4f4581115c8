// One measurement of training-step.bench.ts: the order comes as JSON, one row of JSON goes to standard
// output.
import { readFileSync } from 'node:fs';
import { openCheckpoint } from '@qdylora/checkpoint';
import { ceilingOf, createCpuBackend } from '@qdylora/cpu-kernels';
import { collate } from '@qdylora/data';
import { attachDyLora } from '@qdylora/lora-dynamic';
import { buildModel } from '@qdylora/models';
import { adamw, trainStep } from '@qdylora/trainer';

const {
  model: folder,
  steps,
  rows,
  length,
  threads,
  computeDtype,
  checkpointing,
} = JSON.parse(process.argv[2]);

/**
 * Operations that the ops of a step count, and the fastest that this machine multiplied meanwhile, in
 * GFLOP/s.
 */
const counted = { isOn: false, operations: 0, peak: 0 };
const cpu = await createCpuBackend({ threads });
const backend = {
  ...cpu,
  aroundCall: ({ op, inputs, attributes }, run) => {
    if (counted.isOn) counted.operations += op.flops?.(inputs, attributes) ?? 0;
    run();
  },
};
const checkpoint = await openCheckpoint(folder);
const model = await buildModel(checkpoint, { backend });
const peakNow = ceilingOf(cpu, computeDtype);
checkpoint.dispose();
const adapted = attachDyLora(model, { ranks: [1, 2, 4, 8, 16, 32, 64], seed: 7 });
const optimizer = adamw(adapted.parameters(), { learningRate: 2e-4 });
const seconds = [];

/** Token ids of one row, which change from step to step. */
const example = (step, row) =>
  Int32Array.from({ length }, (_, t) => (step * 7919 + row * 104729 + t * 31) % model.config.vocabularySize);

let loss = NaN;
for (let step = 0; step <= steps; step++) {
  counted.isOn = step === 0; // the first step makes room, and counts
  const batch = collate(
    Array.from({ length: rows }, (_, row) => ({ ids: example(step, row), labels: example(step, row) })),
  );
  const start = performance.now();
  ({ loss } = await trainStep(adapted.atRank(64), batch, optimizer, {
    recompute: checkpointing,
    computeDtype,
  }));
  if (step > 0) seconds.push((performance.now() - start) / 1000);
  for (let i = 0; i < 20; i++) counted.peak = Math.max(counted.peak, peakNow());
}
const median = seconds.sort((a, b) => a - b)[Math.floor(seconds.length / 2)];
const [, peak] = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'));
console.log(
  JSON.stringify({
    who: `qdylora ${backend.level}`,
    checkpointing,
    tokens_per_second: (rows * length) / median,
    of_ceiling: counted.operations / median / 1e9 / counted.peak,
    mflop_per_token: counted.operations / (rows * length) / 1e6,
    peak_gb: Number(peak) / 1e6,
    loss,
  }),
);
