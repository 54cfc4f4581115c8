// Forty lines: a training loop out of its parts, for research. This one adds the gradients of two ranks with
// weights of its own, leaves out a step whose gradient jumps, and draws small ranks often. Nothing in it is
// privileged: take a part away, or put your own in its place.
import type { Backend } from '@qdylora/contract';
import type { Batches } from '@qdylora/data';
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
  readonly logFolder: string;
  readonly warmUp?: number;
  readonly weightOfDrawn?: number;
  readonly largestJump?: number;
}

export async function researchLoop(
  adapted: Adapted<CausalLm>,
  batches: Batches,
  options: ResearchOptions,
): Promise<{ readonly left: number[] }> {
  const {
    backend,
    steps,
    learningRate,
    logFolder,
    warmUp = 2,
    weightOfDrawn = 0.5,
    largestJump = 10,
  } = options;
  const {
    model,
    ranks: { maxRank },
  } = adapted;
  using optimizer = createOptimizer('adamw_32bit', adapted.parameters(), { learningRate });
  using log = openTensorboard(logFolder);
  const sampler = rankSampler(adapted.ranks, { distribution: 'geometric', seed: 7 });
  const schedule = learningRateSchedule({ name: 'cosine', learningRate, totalSteps: steps });
  const left: number[] = [];
  let usualNorm = Infinity;
  for (let step = 0; step < steps; step++) {
    const micro = batches.batchAt(step);
    const drawn = sampler.rankAt(step);
    const rate = schedule.at(step);
    if (step < warmUp) {
      // a step as it comes in one piece
      usualNorm = (
        await trainStep(adapted.atRank(maxRank), micro, optimizer, { learningRate: rate, rows: null })
      ).gradNorm;
      continue;
    }
    const tokens = micro.reduce((sum, batch) => sum + batch.predictedTokens, 0);
    const losses = backend.memory.allocate('f32', [micro.length]);
    backend.memory.persist(losses);
    clearGradients(model, optimizer.parameters);
    for (const [rank, weight] of [
      [maxRank, 1],
      [drawn, weightOfDrawn],
    ] as const) {
      await accumulateGradients(
        micro.map((batch) => ({ view: adapted.atRank(rank), batch })),
        weight / tokens,
        losses,
      );
      if (weight > 0)
        log.write(step + 1, {
          [`loss/${rank === maxRank ? 'largest' : rank}`]:
            (await backend.memory.read(losses)).reduce((sum, loss) => sum + loss, 0) / weight,
        });
    }
    backend.memory.release(losses);
    const norm = await gradientNorm(backend, optimizer);
    if (norm > largestJump * usualNorm) left.push(step);
    else optimizer.step({ learningRate: rate, gradientScale: clipCoefficient(norm, 1), rows: null });
    usualNorm = 0.9 * usualNorm + 0.1 * Math.min(norm, largestJump * usualNorm);
  }
  return { left };
}
