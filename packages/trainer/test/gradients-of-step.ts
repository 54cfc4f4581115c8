import type { Communicator } from '@qdylora/collectives';
import { hostData } from '@qdylora/contract';
import { rankSampler, type RankSchedule } from '@qdylora/lora-dynamic';
import { adamw, type GradientSum, type WorkerRanks } from '../src/index.ts';
import { shareAccumulation } from '../src/sharing/share-accumulation.ts';
import { clearGradients } from '../src/step/accumulate-gradients.ts';
import { passesOfStep } from '../src/step/passes-of-step.ts';
import type { Pass } from '../src/step/run-pass.ts';
import { tinyAdapted, tinyBatches } from './tiny-model.ts';

export interface StepSetting {
  readonly rankSchedule: RankSchedule;
  readonly accumulate: number;
  readonly step: number;
}

export interface SharedStepOptions {
  readonly lossScale?: number;
  readonly maxRanks?: WorkerRanks | null;
  readonly gradientSum?: GradientSum | null;
  /** The passes that are computed, of those of the step. */
  readonly choose?: (passes: readonly Pass[]) => readonly Pass[];
  /** Gets the most bytes of arrays at a time that the step added. */
  readonly noteBytes?: (added: number) => void;
}

/** Gradients of each parameter, [rows · columns], with their numbers of columns. */
export interface StepGradients {
  readonly values: readonly Float64Array[];
  readonly columns: readonly number[];
}

/** The gradients of a step that workers share, on a new model. */
export async function gradientsOfStep(
  workers: Communicator,
  { rankSchedule, accumulate, step }: StepSetting,
  {
    lossScale = 1,
    maxRanks = null,
    gradientSum = null,
    choose = (passes) => passes,
    noteBytes,
  }: SharedStepOptions = {},
): Promise<StepGradients> {
  const adapted = tinyAdapted();
  const { backend } = adapted.model;
  const optimizer = adamw(adapted.parameters(), { learningRate: 1e-2 });
  const sampler = rankSampler(adapted.ranks, { seed: 1, schedule: rankSchedule });
  clearGradients({ backend }, optimizer);
  const batches = tinyBatches(24, 2, accumulate).batchAt(step);
  const passes = choose(passesOfStep(step, batches, { model: adapted, sampler }).passes);
  const losses = backend.memory.allocate('f32', [passes.length]);
  backend.memory.persist(losses);
  const shared = { passes, lossScale, lossFactor: 1, losses, optimizer, workers, gradientSum, maxRanks };
  backend.memory.resetPeak();
  const { liveBytes } = backend.memory.usage();
  await shareAccumulation(shared, {});
  noteBytes?.(backend.memory.usage().peakBytes - liveBytes);
  const gradients = optimizer.parameters.map(({ gradient }) => gradient!);
  return {
    values: gradients.map((gradient) => Float64Array.from(hostData(gradient))),
    columns: gradients.map(({ shape }) => shape[1]),
  };
}
