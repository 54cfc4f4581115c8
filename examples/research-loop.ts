// A training loop from its parts, for research. This one adds the gradients of two ranks with weights of its
// own, skips a step whose gradient norm jumps, and draws small ranks more often than large ones. Remove any
// part, or replace it with your own.
import type { Backend } from '@qdylora/contract';
import type { Batches, TokenBatch } from '@qdylora/data';
import { rankSampler, type Adapted } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import {
  accumulateGradients,
  clearGradients,
  clipCoefficient,
  createOptimizer,
  gradientNorm,
  learningRateSchedule,
  openTensorboard,
  trainStep,
} from '@qdylora/trainer';

export interface ResearchOptions {
  readonly backend: Backend;
  readonly steps: number;
  readonly learningRate: number;
  /** Folder for TensorBoard. */
  readonly logFolder: string;
  /** Steps at the largest rank alone, before the loop. */
  readonly warmUp?: number;
  /** Weight of the drawn rank's loss; the largest rank has weight 1. */
  readonly drawnWeight?: number;
  /** A step is skipped where its gradient norm exceeds the usual one by this factor. */
  readonly largestJump?: number;
}

export async function researchLoop(
  adapted: Adapted<CausalLm>,
  batches: Batches,
  options: ResearchOptions,
): Promise<{ readonly skippedSteps: number[] }> {
  const { backend, steps, learningRate, warmUp = 2, drawnWeight = 0.5, largestJump = 10 } = options;
  const { maxRank } = adapted.ranks;
  using optimizer = createOptimizer('adamw_32bit', adapted.parameters(), { learningRate });
  using log = openTensorboard(options.logFolder);
  const sampler = rankSampler(adapted.ranks, { distribution: 'geometric', seed: 7 });
  const schedule = learningRateSchedule({ name: 'cosine', learningRate, totalSteps: steps });
  const skippedSteps: number[] = [];
  let usualNorm = Infinity;

  for (let step = 0; step < steps; step++) {
    const microBatches = batches.batchAt(step);
    const update = { learningRate: schedule.at(step), rows: null };
    if (step < warmUp) {
      // A whole step in one call.
      const { gradNorm } = await trainStep(adapted.atRank(maxRank), microBatches, optimizer, update);
      usualNorm = gradNorm;
      continue;
    }
    clearGradients(adapted.model, optimizer.parameters);
    const largestLoss = await addGradients(adapted, maxRank, microBatches, 1);
    log.write(step + 1, { 'loss/largest': largestLoss });
    const drawnRank = sampler.rankAt(step);
    const drawnLoss = await addGradients(adapted, drawnRank, microBatches, drawnWeight);
    if (drawnWeight > 0) log.write(step + 1, { [`loss/${drawnRank}`]: drawnLoss });

    const norm = await gradientNorm(backend, optimizer);
    if (norm > largestJump * usualNorm) skippedSteps.push(step);
    else optimizer.step({ ...update, gradientScale: clipCoefficient(norm, 1) });
    usualNorm = 0.9 * usualNorm + 0.1 * Math.min(norm, largestJump * usualNorm);
  }
  return { skippedSteps };
}

/** Adds `weight` · the gradient of the mean loss at a rank, and returns that loss (NaN at weight 0). */
async function addGradients(
  adapted: Adapted<CausalLm>,
  rank: number,
  microBatches: readonly TokenBatch[],
  weight: number,
): Promise<number> {
  const { memory } = adapted.model.backend;
  const tokens = microBatches.reduce((sum, batch) => sum + batch.predictedTokens, 0);
  const losses = memory.allocate('f32', [microBatches.length]);
  memory.persist(losses);
  const passes = microBatches.map((batch) => ({ view: adapted.atRank(rank), batch }));
  await accumulateGradients(passes, weight / tokens, losses);
  const weightedLosses = await memory.read(losses);
  memory.release(losses);
  return weightedLosses.reduce((sum, loss) => sum + loss, 0) / weight;
}
