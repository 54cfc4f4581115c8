import { isFullDisk } from '../checkpoints/disk-room.ts';
import type { TrainingRun } from './training-run.ts';

/** Milliseconds between the first two attempts; each wait is twice as long as the previous one. */
const FIRST_WAIT_MS = 250;
const MAX_WAIT_MS = 10_000;

/**
 * Runs `save`, and repeats it while the disk is full, for up to `waitForRoomSeconds`: the steps since the
 * newest checkpoint are in memory only. An abort ends the wait.
 *
 * @throws the error of the last attempt
 */
export async function retryWhileDiskIsFull(run: TrainingRun, save: () => Promise<string>): Promise<string> {
  const { save: saveOptions, signal, clock } = run.options;
  const waitSeconds = saveOptions?.waitForRoomSeconds ?? 0;
  const deadline = clock() + waitSeconds;
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, MAX_WAIT_MS)) {
    try {
      return await save();
    } catch (error) {
      if (!isFullDisk(error) || signal?.aborted || clock() >= deadline) throw error;
      if (waitMs === FIRST_WAIT_MS)
        run.warn(
          'DISK_FULL',
          `${(error as Error).message} The run waits up to ${Math.ceil(waitSeconds / 60)} min for room, ` +
            `because the steps since the newest checkpoint are in memory only. Ctrl-C ends the wait.`,
        );
    }
    await waitUnlessAborted(waitMs, signal);
  }
}

/** Waits in short intervals, because the signal of a worker changes without firing an event. */
async function waitUnlessAborted(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  for (let left = milliseconds; left > 0 && !signal?.aborted; left -= FIRST_WAIT_MS)
    await new Promise((resolve) => {
      setTimeout(resolve, FIRST_WAIT_MS);
    });
}
