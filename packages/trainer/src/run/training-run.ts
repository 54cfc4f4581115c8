import type { Rng } from '@qdylora/contract';
import type { CheckpointKeeper } from '../checkpoints/open-keeper.ts';
import type { RunProgress } from './run-progress.ts';
import type { RunIdentity } from '../checkpoints/run-state.ts';
import type { PassRecorder } from '../step/pass-recorder.ts';
import { DEFAULT_PATIENCE } from './early-stopping.ts';
import type { TrainEvent, TrainResult, WarningCode } from './train-events.ts';
import type { CallbackResult, ResolvedTrainOptions } from './train-options.ts';

/** State that the parts of one run share: options, progress, and whether it is saved or ends. */
export interface TrainingRun {
  readonly options: ResolvedTrainOptions;
  readonly keeper: CheckpointKeeper | null;
  readonly progress: RunProgress;
  readonly identity: RunIdentity;
  readonly dropout: Rng;
  readonly recorder: PassRecorder | null;
  /** Step of the newest checkpoint. NOT_SAVED: save the newest step even if it has a checkpoint. */
  savedAt: number;
  /** Whether readers have been warned that the disk has no room for the next checkpoint. */
  isDiskLow: boolean;
  /** False during an update, and if a non-finite state ends the run: a save would store a bad state. */
  isSavable: boolean;
  /** The error of the last save if it failed; else null. */
  failedSave: unknown;
  /** Why the newest step is the last one, if that is before `totalSteps`; else null. */
  stoppedBy: TrainResult['stoppedBy'];
  /** Whether all workers know that the newest step is the last one. */
  isStopAgreed: boolean;
  emit(event: TrainEvent): void;
  warn(code: WarningCode, message: string): void;
}

export const NOT_SAVED = -1;

/**
 * Whether no step follows the newest one. Workers may share an evaluation, so all of them must know that it
 * is due before one begins: a stop counts once they have agreed on it.
 */
export const isLastStep = ({ progress, options, stoppedBy, isStopAgreed }: TrainingRun): boolean =>
  progress.step >= options.totalSteps || (stoppedBy !== null && (!options.workers || isStopAgreed));

/** Whether something that happens every `interval` steps, and after the last one, happens now. */
export const isDue = (run: TrainingRun, interval: number | null | undefined): boolean =>
  isLastStep(run) || (typeof interval === 'number' && run.progress.step % interval === 0);

/** Whether evaluations have not improved for as long as early stopping allows. */
export function isPatienceOver(
  { earlyStopping }: ResolvedTrainOptions,
  { earlyStopping: watch }: RunProgress,
): boolean {
  if (!earlyStopping || watch?.on !== earlyStopping.on) return false;
  return watch.waited >= (earlyStopping.patience ?? DEFAULT_PATIENCE);
}

/** Waits for a callback; `'stop'` makes the newest step the last one. */
export async function awaitCallback(run: TrainingRun, result: CallbackResult): Promise<void> {
  if ((await result) === 'stop') run.stoppedBy ??= 'callback';
}
