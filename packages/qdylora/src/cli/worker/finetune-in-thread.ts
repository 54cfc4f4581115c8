import type { PreparedRun } from '../../recipes/run/prepare-run.ts';
import { finetune, type FinetuneResult } from '../../recipes/finetune.ts';
import type { FinetuneEvent } from '../../recipes/run-folder/finetune-events.ts';
import { inTrainingThread } from './in-training-thread.ts';

export interface WorkerHooks {
  readonly signal: AbortSignal;
  readonly onEvent: (event: FinetuneEvent) => void;
}

/**
 * Fine-tunes in a thread of its own, or without a script in this one.
 *
 * @returns null on a worker that is not the first of its run
 */
export const finetuneInThread = (
  script: URL | null,
  options: PreparedRun,
  hooks: WorkerHooks,
): Promise<FinetuneResult | null> =>
  script ? inTrainingThread(script, { task: 'train', options }, hooks) : finetuneHere(options, hooks);

async function finetuneHere(options: PreparedRun, { signal, onEvent }: WorkerHooks): Promise<FinetuneResult> {
  const run = finetune({ ...options, signal });
  for await (const event of run) onEvent(event);
  return run.result;
}
