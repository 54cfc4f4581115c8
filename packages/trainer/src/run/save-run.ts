import { QdyloraError } from '@qdylora/contract';
import { megabytes } from '../checkpoints/disk-room.ts';
import { sumOrderOf } from '../sharing/sum-order.ts';
import { retryWhileDiskIsFull } from './retry-while-disk-is-full.ts';
import type { RunProgress } from './run-progress.ts';
import type { CheckpointEvent } from './train-events.ts';
import { awaitCallback, isDue, isLastStep, type TrainingRun } from './training-run.ts';

/** Whether the newest step must be saved and has not been yet. */
export const isSaveDue = (run: TrainingRun): boolean =>
  run.keeper !== null && run.savedAt < run.progress.step && isDue(run, run.options.save?.every);

/**
 * Saves the newest step. If steps follow, a failed write is a warning, since there will be another
 * checkpoint; after the last step it is an error.
 *
 * @throws QdyloraError WRITE_FAILED, NON_FINITE.
 */
export async function saveRun(run: TrainingRun): Promise<void> {
  if (isLastStep(run)) return saveLastStep(run);
  let path: string;
  try {
    path = await writeCheckpoint(run);
  } catch (error) {
    return warnOfFailedWrite(run, error);
  }
  run.savedAt = run.progress.step;
  warnOfLowDisk(run);
  await announceSave(run, { type: 'checkpoint', path, step: run.progress.step, kind: 'step' });
}

/**
 * Saves the last step of a run. While the disk is full it waits for room, for as long as the options allow.
 *
 * @throws QdyloraError WRITE_FAILED, NON_FINITE.
 */
export async function saveLastStep(run: TrainingRun): Promise<void> {
  let path: string;
  try {
    path = await retryWhileDiskIsFull(run, () => writeCheckpoint(run));
  } catch (error) {
    run.failedSave = error;
    throw error;
  }
  run.savedAt = run.progress.step;
  await announceSave(run, { type: 'checkpoint', path, step: run.progress.step, kind: 'step' });
}

/**
 * Writes the best adapter so far, if the run keeps one. A failed write is a warning.
 *
 * @returns false if the write failed
 */
export async function saveBest(run: TrainingRun, best: NonNullable<RunProgress['best']>): Promise<boolean> {
  let path: string | null;
  try {
    path = (await run.keeper?.saveBest(best)) ?? null;
  } catch (error) {
    warnOfFailedWrite(run, error);
    return false;
  }
  if (path) await announceSave(run, { type: 'checkpoint', path, step: run.progress.step, kind: 'best' });
  return true;
}

function writeCheckpoint({ keeper, options, progress, identity }: TrainingRun): Promise<string> {
  const { backend, optimizer } = options;
  return keeper!.save({ backend, optimizer, progress, identity, sums: sumOrderOf(options) });
}

async function announceSave(run: TrainingRun, event: CheckpointEvent): Promise<void> {
  run.emit(event);
  await awaitCallback(run, run.options.onSave?.(event));
}

/** Warns of a failed write. @throws any other error unchanged */
function warnOfFailedWrite({ warn }: TrainingRun, error: unknown): void {
  if (!QdyloraError.isInstance(error)) throw error;
  if (error.code === 'WRITE_FAILED') return warn('WRITE_FAILED', error.message);
  if (error.code === 'NON_FINITE') return warn('NON_FINITE_WEIGHTS', error.message);
  throw error;
}

/** Warns, once each time the disk becomes full, that the next checkpoint has no room. */
function warnOfLowDisk(run: TrainingRun): void {
  const missingBytes = run.keeper!.missingBytes({ optimizer: run.options.optimizer });
  if (missingBytes > 0 && !run.isDiskLow)
    run.warn(
      'DISK_FULL',
      `The disk of ${run.options.save!.folder} has no room for the next checkpoint. Free ` +
        `${megabytes(missingBytes)} there.`,
    );
  run.isDiskLow = missingBytes > 0;
}
