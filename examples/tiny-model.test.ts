import { createBatches } from '@qdylora/data';
import { perplexity, sweepRanks } from '@qdylora/eval';
import { attachDyLora, rankSampler } from '@qdylora/lora-dynamic';
import { adamw, learningRateSchedule, train } from '@qdylora/trainer';
import { expect, it } from 'vitest';
import { tinyExamples, tinyModel } from './tiny-model.ts';

it('the smallest model with a loss is trained, and is better than its base at every rank', async () => {
  const adapted = attachDyLora(tinyModel(), { ranks: [1, 2, 4], seed: 7 });
  const batches = createBatches(tinyExamples(24), {
    microBatchSize: 2,
    gradientAccumulationSteps: 2,
    shuffle: true,
    seed: 7,
    packing: false,
    maxSeqLength: 64,
  });
  await train({
    model: adapted,
    batches,
    totalSteps: 30,
    sampler: rankSampler(adapted.ranks, { schedule: 'sandwich', seed: 7 }),
    optimizer: adamw(adapted.parameters(), { learningRate: 3e-2 }),
    schedule: learningRateSchedule({ name: 'constant', learningRate: 3e-2, totalSteps: 30 }),
  }).result;
  const { ranks, base } = await sweepRanks(
    (rank) => adapted.atRank(rank),
    adapted.ranks,
    perplexity(tinyExamples(24)),
  );
  for (const { loss, rank } of ranks) expect(loss, `rank ${rank}`).toBeLessThan(base!.loss);
});
