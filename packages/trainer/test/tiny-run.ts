import type { QdyloraError } from '@qdylora/contract';
import { rankSampler, type AdapterConfig, type Distillation, type RankSchedule } from '@qdylora/lora-dynamic';
import {
  createOptimizer,
  learningRateSchedule,
  train,
  type PagingOptions,
  type TrainEvent,
  type TrainOptions,
  type TrainRun,
} from '../src/index.ts';
import { tinyAdapted, tinyBatches, tinyModel, type TinyModel } from './tiny-model.ts';

export interface TinyRunOptions extends Partial<TrainOptions> {
  readonly rankSchedule?: RankSchedule;
  readonly distillation?: Distillation | null;
  readonly adapter?: Partial<AdapterConfig>;
  readonly microBatchSize?: number;
  readonly accumulate?: number;
  readonly packing?: boolean;
  readonly weightDecay?: number;
  readonly optimizerName?: string;
  /** The paged ones need it. */
  readonly paging?: PagingOptions;
  /**
   * Width of the model; with one of 64 and ranks up to 64 an adapter is just large enough for 8-bit states.
   */
  readonly hidden?: number;
  /** The model to adapt, in place of a new one of that width. */
  readonly base?: TinyModel;
}

/**
 * Options for a run over a new tiny model: dropout, accumulation and sandwich, so that everything random
 * takes part.
 */
export function tinyOptions({
  rankSchedule = 'sandwich',
  distillation = null,
  adapter = { dropout: 0.2 },
  microBatchSize = 2,
  accumulate = 2,
  packing = false,
  weightDecay = 0.01,
  optimizerName = 'adamw_32bit',
  paging,
  hidden,
  base = tinyModel(undefined, undefined, hidden),
  ...trainOptions
}: TinyRunOptions = {}) {
  const adapted = tinyAdapted(adapter, base);
  const totalSteps = trainOptions.totalSteps ?? 6;
  const options = {
    model: adapted,
    batches: tinyBatches(24, microBatchSize, accumulate, packing),
    sampler: rankSampler(adapted.ranks, { seed: 1, schedule: rankSchedule, distillation }),
    totalSteps,
    seed: 3,
    optimizer: createOptimizer(optimizerName, adapted.parameters(), {
      learningRate: 1e-2,
      weightDecay,
      momentum: 0.9,
      paging,
    }),
    schedule: learningRateSchedule({ name: 'cosine', learningRate: 1e-2, totalSteps: 12, warmupSteps: 2 }),
    ...trainOptions,
  };
  return Object.defineProperty(options, 'adapted', {
    value: adapted,
    enumerable: false,
    // no option of a run, so not counted among them
  }) as typeof options & { readonly adapted: typeof adapted };
}

export const tinyTrain = (options: TinyRunOptions = {}): TrainRun => train(tinyOptions(options));

/** All events; throws what the run throws. */
export async function eventsOf(run: TrainRun): Promise<TrainEvent[]> {
  const events: TrainEvent[] = [];
  for await (const event of run) events.push(event);
  return events;
}

type EventOf<T extends TrainEvent['type']> = Extract<TrainEvent, { type: T }>;

export const eventsOfType = <T extends TrainEvent['type']>(
  events: readonly TrainEvent[],
  type: T,
): EventOf<T>[] => events.filter((event): event is EventOf<T> => event.type === type);

/** The error that a run ends with. */
export const failureOf = (run: TrainRun): Promise<QdyloraError> =>
  run.result.then(
    () => {
      throw new Error('The run did not fail.');
    },
    (error: unknown) => error as QdyloraError,
  );
