import { blocksOf, termsOfWorker } from '@qdylora/collectives';
import { createRng } from '@qdylora/contract';

/** What the parts of a step cost, as `npm run bench workers` measures them. */
export interface StepCosts {
  /** Forward and backward of one micro batch. */
  readonly passSeconds: number;
  /** What each worker does alone, however many there are: the optimizer's update, events. */
  readonly updateSeconds: number;
  /** Packing, adding and writing back a gradient, for each byte of it and each block. */
  readonly secondsPerGradientByte: number;
  /** From a message's start to its arrival. */
  readonly latencySeconds: number;
  /** Of the link of one worker, in each direction. */
  readonly bytesPerSecond: number;
  /** Standard deviation of the time of a worker's passes, as a share of it. */
  readonly spread: number;
}

export interface SimulatedRun {
  readonly workers: number;
  /** Of a step, over all workers. */
  readonly microBatches: number;
  /** Bytes of the gradient that a step sends: rows beyond its largest rank are left out. */
  readonly gradientBytes: number;
}

export interface SimulatedStep {
  readonly seconds: number;
  /** Of a worker's step, everything but its own passes and the update. */
  readonly communicationShare: number;
  /** Seconds of one worker, divided by `workers` and by `seconds`. */
  readonly efficiency: number;
}

/** Steps that are simulated; their mean counts. */
const STEPS = 200;

/** Small collectives of a step: lengths of the rows (two), losses, and whether to stop. */
const SMALL_COLLECTIVES = 4;

/**
 * Simulates steps of data-parallel training with `sumInOrder`.
 *
 * A step: the workers tell each other the lengths of their rows; each runs its passes; when the slowest has
 * come, they exchange shards of their blocks (all-to-all, a round for each block of the worker that has most)
 * and gather the sums (all-gather); all update. Collectives of n workers cost
 *
 *     small:      ⌈log2 n⌉ · latency                          (a tree)
 *     large:      (n − 1) · latency + bytes · (n − 1) / n / bandwidth   (a ring, or pairs in turn)
 */
export function simulateStep(costs: StepCosts, run: SimulatedRun): SimulatedStep {
  const { seconds, waiting } = meanStep(costs, run);
  const alone = meanStep(costs, { ...run, workers: 1 }).seconds;
  return {
    seconds,
    communicationShare: waiting / seconds,
    efficiency: alone / (run.workers * seconds),
  };
}

function meanStep(costs: StepCosts, run: SimulatedRun): { seconds: number; waiting: number } {
  const rng = createRng(1).named('stragglers');
  const exchange = exchangeSeconds(costs, run);
  let seconds = 0;
  let waiting = 0;
  for (let step = 0; step < STEPS; step++) {
    const passes = Array.from({ length: run.workers }, (_, worker) => {
      const { from, to } = termsOfWorker(run.microBatches, worker, run.workers);
      const noise = 1 + costs.spread * rng.normal(step, worker);
      return (to - from) * costs.passSeconds * Math.max(0, noise);
    });
    const slowest = Math.max(...passes);
    const mean = passes.reduce((sum, each) => sum + each, 0) / run.workers;
    seconds += slowest + exchange + costs.updateSeconds;
    waiting += slowest - mean + exchange;
  }
  return { seconds: seconds / STEPS, waiting: waiting / STEPS };
}

function exchangeSeconds(
  { latencySeconds, bytesPerSecond, secondsPerGradientByte }: StepCosts,
  { workers, microBatches, gradientBytes }: SimulatedRun,
): number {
  if (workers === 1) return 0;
  const rounds = Math.max(
    ...Array.from(
      { length: workers },
      (_, worker) => blocksOf(termsOfWorker(microBatches, worker, workers)).length,
    ),
  );
  const small = Math.ceil(Math.log2(workers)) * latencySeconds;
  const large = (workers - 1) * latencySeconds + (gradientBytes * (workers - 1)) / workers / bytesPerSecond;
  const adding = gradientBytes * secondsPerGradientByte * (rounds + 1);
  return SMALL_COLLECTIVES * small + (rounds + 1) * large + adding; // one more: the all-gather
}
