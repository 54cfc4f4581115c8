import { openTensorboard, scalarsOfEvent, type TensorboardLog, type TrainEvent } from '@qdylora/trainer';
import type { RunConfig } from '../../config/resolve-run.ts';
import type { Warn } from '../hooks.ts';

/** Where the numbers of a run go besides `events.jsonl`. */
export interface MetricSinks extends Disposable {
  write(event: TrainEvent): void;
}

/**
 * A sink opened with the plan of the run. One that cannot be written warns once and is closed; the run
 * continues.
 */
export function metricSinks(
  reportTo: RunConfig['reportTo'],
  { tensorboard: folder }: { readonly tensorboard: string },
  warn: Warn,
): MetricSinks {
  let log: TensorboardLog | null = null;
  const write = (event: TrainEvent): void => {
    if (event.type === 'plan' && reportTo.includes('tensorboard'))
      log = openTensorboard(folder, { startStep: event.startStep });
    const scalars = scalarsOfEvent(event);
    if ('step' in event && Object.keys(scalars).length > 0) log?.write(event.step, scalars);
  };
  const close = (): void => {
    log?.[Symbol.dispose]();
    log = null;
  };
  return {
    write(event) {
      try {
        write(event);
      } catch (error) {
        close();
        warn(`report_to tensorboard ended: ${(error as Error).message}`);
      }
    },
    [Symbol.dispose]: close,
  };
}
