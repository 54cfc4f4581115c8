import { localWorld, type Communicator } from '@qdylora/collectives';
import { train, type StepEvent } from '../src/index.ts';
import { numbersOf } from './tiny-model.ts';
import { tinyOptions, type TinyRunOptions } from './tiny-run.ts';

/** What one worker has at the end. */
export interface WorkerOutcome {
  readonly numbers: readonly Float32Array[];
  /** Loss and gradient norm of each step. */
  readonly losses: readonly number[];
}

/** Trains a model of its own; null: without workers. */
export async function trainOn(workers: Communicator | null, options: TinyRunOptions): Promise<WorkerOutcome> {
  const own = tinyOptions(options);
  const losses: number[] = [];
  const onStep = ({ loss, gradNorm }: StepEvent): void => {
    losses.push(loss, gradNorm);
  };
  await train({ ...own, workers, onStep }).result;
  return { numbers: numbersOf(own.adapted.parameters()), losses };
}

/** Trains on n workers. Options that have a state are made for each. */
export const trainOnAll = (
  size: number,
  options: TinyRunOptions | ((rank: number) => TinyRunOptions),
): Promise<WorkerOutcome[]> =>
  Promise.all(
    localWorld(size).map((world) =>
      trainOn(world, typeof options === 'function' ? options(world.rank) : options),
    ),
  );
