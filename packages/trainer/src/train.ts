import { openKeeper } from './checkpoints/open-keeper.ts';
import { agreeToStop } from './run/agree-to-stop.ts';
import { beginRun } from './run/begin-run.ts';
import { endEarly, throwIfAborted } from './run/end-early.ts';
import { evaluateRun, isEvaluationDue } from './run/evaluate-run.ts';
import { eventQueue, type EventQueue } from './run/event-queue.ts';
import { nextTurn } from './next-turn.ts';
import { isSaveDue, saveRun } from './run/save-run.ts';
import { takeStep } from './run/take-step.ts';
import type { TrainEvent, TrainResult } from './run/train-events.ts';
import { resolveTrainOptions, type ResolvedTrainOptions, type TrainOptions } from './run/train-options.ts';
import { isLastStep, NOT_SAVED, type TrainingRun } from './run/training-run.ts';
import { isSortDue, sortRun, warnOfUnsortedRows } from './run/wide-steps.ts';

/**
 * A run that has begun. Reading its events is optional. The first reader receives all events; later readers
 * receive events from the moment they subscribe (`EventQueue` says which ones wait for a slow reader).
 */
export interface TrainRun extends AsyncIterable<TrainEvent> {
  /** @throws QdyloraError ABORTED, NON_FINITE_LOSS, BUSY_FOLDER, NOT_EMPTY, BAD_RESUME, … */
  readonly result: Promise<TrainResult>;
}

/**
 * Trains a model in place and reports progress as typed events.
 *
 * Each round sorts rows, evaluates and saves if that is due, and then takes one optimizer step. A checkpoint
 * therefore contains everything that came before it, and a run that resumes from it computes bit for bit what
 * the uninterrupted run would have.
 *
 * @throws QdyloraError BAD_ARGUMENT that names the invalid option.
 * @example
 * const run = train({ model: adapted, batches, sampler, optimizer, schedule, totalSteps: 200 });
 * for await (const event of run) if (event.type === 'step') console.log(event.step, event.rank, event.loss);
 * const { finalLoss } = await run.result;
 */
export function train(options: TrainOptions): TrainRun {
  const resolved = resolveTrainOptions(options);
  const events = eventQueue<TrainEvent>({ isDroppable: ({ type }) => type === 'step' });
  const result = trainAndClose(resolved, events);
  return {
    result,
    [Symbol.asyncIterator]() {
      result.catch(() => {
        /* the reader gets the error from the iterator */
      });
      return events[Symbol.asyncIterator]();
    },
  };
}

async function trainAndClose(
  options: ResolvedTrainOptions,
  events: EventQueue<TrainEvent>,
): Promise<TrainResult> {
  try {
    await nextTurn(); // the caller gets the run before it begins
    const result = await trainInFolder(options, events);
    events.close();
    return result;
  } catch (error) {
    events.close(error);
    throw error;
  }
}

/**
 * Holds the lock of the output folder, if there is one, from before the first step to after the last save.
 */
async function trainInFolder(
  options: ResolvedTrainOptions,
  events: EventQueue<TrainEvent>,
): Promise<TrainResult> {
  const isSaver = (options.workers?.rank ?? 0) === 0;
  const keeper = options.save && isSaver ? openKeeper(options.save) : null;
  try {
    const start = options.clock();
    const run = await beginRun(options, events, keeper);
    await trainSteps(run);
    const result = resultOf(run, options.clock() - start);
    run.emit({ type: 'done', result });
    return result;
  } finally {
    keeper?.close();
  }
}

/** The loop. */
async function trainSteps(run: TrainingRun): Promise<void> {
  try {
    for (;;) {
      if (isSortDue(run)) await sortRun(run); // before an abort: a checkpoint of this step has sorted rows
      if (!run.options.workers) throwIfAborted(run);
      if (isEvaluationDue(run)) await evaluateRun(run);
      if (isSaveDue(run)) await saveRun(run);
      await agreeToStop(run);
      if (isEvaluationDue(run)) {
        // `onSave` or a worker ended the run with this step: evaluate it, then save it again
        run.savedAt = NOT_SAVED;
        continue;
      }
      if (isLastSaveDue(run)) continue;
      if (isLastStep(run)) return warnOfUnsortedRows(run);
      await takeStep(run);
      await nextTurn();
    }
  } catch (error) {
    throw await endEarly(run, error);
  } finally {
    run.recorder?.dispose();
  }
}

/**
 * Whether a stop has made this step the last one, and it is not saved. A failed save between two steps stays
 * due, but is not repeated.
 */
const isLastSaveDue = (run: TrainingRun): boolean => isLastStep(run) && isSaveDue(run);

function resultOf({ progress, options, stoppedBy, keeper }: TrainingRun, seconds: number): TrainResult {
  const { step, finalLoss, tokens, skippedSteps, best } = progress;
  return {
    step,
    finalLoss,
    tokens,
    skippedSteps,
    seconds,
    best,
    stoppedBy: step < options.totalSteps ? stoppedBy : null,
    checkpoint: keeper?.newest ?? null,
  };
}
