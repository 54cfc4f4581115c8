import { Worker } from 'node:worker_threads';
import { QdyloraError } from '@qdylora/contract';
import type { RunOptions } from '../../config/resolve-run.ts';
import { finetune, type FinetuneResult } from '../../recipes/finetune.ts';
import type { FinetuneEvent } from '../../recipes/finetune-events.ts';
import { packError, unpackError } from './error-transfer.ts';
import type { FromWorker, ToWorker, TrainOrder } from './train-messages.ts';

export interface WorkerHooks { readonly signal: AbortSignal; readonly onEvent: (event: FinetuneEvent) => void }

/** Fine-tunes in a thread of its own, or without a script in this one. */
export const runTraining = (script: URL | null, options: RunOptions, hooks: WorkerHooks): Promise<FinetuneResult> => (script ? finetuneInWorker(script, options, hooks) : finetuneHere(options, hooks));

async function finetuneHere(options: RunOptions, { signal, onEvent }: WorkerHooks): Promise<FinetuneResult> {
  const run = finetune({ ...options, signal });
  for await (const event of run) onEvent(event);
  return run.result;
}

/** Arrays live outside the heap, so short-lived objects need little room; V8's own choice costs 40 MB more (SmolLM2-135M, Node 20, 2026). */
const YOUNG_MEGABYTES = 6;

/** Fine-tunes in a thread of its own.  @throws what the run throws; QdyloraError NATIVE where the thread dies without a word */
function finetuneInWorker(script: URL, options: RunOptions, { signal, onEvent }: WorkerHooks): Promise<FinetuneResult> {
  const worker = new Worker(script, { workerData: { options } satisfies TrainOrder, resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MEGABYTES } });
  const stop = (): void => worker.postMessage({ type: 'stop', reason: packError(signal.reason) } satisfies ToWorker);
  signal.addEventListener('abort', stop);
  return new Promise<FinetuneResult>((resolve, reject) => {
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'event') onEvent(message.event);
      else if (message.type === 'result') resolve(message.result);
      else reject(unpackError(message.error));
    });
    worker.on('error', reject);
    worker.on('exit', (code) => reject(new QdyloraError('NATIVE', { where: 'train', problem: `expected a result from the training thread, got its end (${code})`, nextStep: 'Go on from the last checkpoint with --resume-from-checkpoint auto.' })));
  }).finally(() => signal.removeEventListener('abort', stop));
}
