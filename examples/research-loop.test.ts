import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '@qdylora/checkpoint';
import { createHostBackend } from '@qdylora/contract';
import { createBatches, loadDataset } from '@qdylora/data';
import { perplexity, sweepRanks } from '@qdylora/eval';
import { attachDyLora } from '@qdylora/lora-dynamic';
import { buildModel } from '@qdylora/models';
import { createOptimizer, learningRateSchedule, librarySum, trainStep } from '@qdylora/trainer';
import { expect, test } from 'vitest';
import { researchLoop } from './research-loop.ts';
import { tinyRun } from './test-support/tiny-run.ts';

const STEPS = 16;
const learningRate = 1e-2;

async function setUp() {
  const tiny = tinyRun();
  const backend = createHostBackend();
  const checkpoint = await openCheckpoint(tiny.model);
  const adapted = attachDyLora(
    await buildModel(checkpoint, { backend, quantization: { kind: 'nf4', doubleQuantization: true } }),
    { ranks: [1, 2, 4, 8], seed: 7 },
  );
  const { training, heldOut } = await loadDataset(tiny.dataset, {
    tokenizer: null,
    maxSeqLength: 64,
    heldOut: 8,
    seed: 7,
  });
  const batches = createBatches(training, {
    microBatchSize: 2,
    gradientAccumulationSteps: 2,
    shuffle: true,
    seed: 7,
    packing: false,
    maxSeqLength: 64,
  });
  return { tiny, backend, adapted, batches, heldOut, logFolder: join(tiny.folder, 'tensorboard') };
}

test('a loop from the parts beats the base at every rank, and writes TensorBoard files', async () => {
  const { tiny, backend, adapted, batches, heldOut, logFolder } = await setUp();
  using _ = tiny;
  const { skippedSteps } = await researchLoop(adapted, batches, {
    backend,
    steps: STEPS,
    learningRate,
    logFolder,
  });
  const report = await sweepRanks((rank) => adapted.atRank(rank), adapted.ranks, perplexity(heldOut));
  expect(skippedSteps).toEqual([]);
  for (const { rank, loss } of report.ranks) expect(loss, `rank ${rank}`).toBeLessThan(report.base!.loss);
  expect(readFileSync(join(logFolder, readdirSync(logFolder)[0])).includes('loss/largest')).toBe(true);
});

test(
  'without weight on the drawn rank it equals trainStep at the largest rank, bit for bit; where every ' +
    'gradient counts as a jump it changes nothing after the warm-up',
  async () => {
    const { tiny, backend, adapted, batches, logFolder } = await setUp();
    const plain = await setUp();
    const frozen = await setUp();
    using _ = tiny;
    using __ = plain.tiny;
    using ___ = frozen.tiny;
    const warmUp = 2;
    const parts = { backend, steps: 5, learningRate, logFolder };
    await researchLoop(adapted, batches, { ...parts, warmUp, drawnWeight: 0 });
    const optimizer = createOptimizer('adamw_32bit', plain.adapted.parameters(), { learningRate });
    const schedule = learningRateSchedule({ name: 'cosine', learningRate, totalSteps: 5 });
    for (let step = 0; step < 5; step++)
      await trainStep(plain.adapted.atRank(8), plain.batches.batchAt(step), optimizer, {
        learningRate: schedule.at(step),
        rows: null,
        gradientSum: step < warmUp ? null : librarySum, // the loop adds one micro batch after the other
      });
    expect(await adapted.state()).toEqual(await plain.adapted.state());
    expect(
      await researchLoop(frozen.adapted, frozen.batches, {
        backend: frozen.backend,
        steps: 5,
        learningRate,
        logFolder: frozen.logFolder,
        warmUp: 1,
        largestJump: 1e-9,
      }),
    ).toEqual({ skippedSteps: [1, 2, 3, 4] });
  },
);
