import { Worker } from 'node:worker_threads';
import { QdyloraError } from '@qdylora/contract';
import type { FinetuneEvent } from '../../recipes/run-folder/finetune-events.ts';
import { packError, unpackError } from './error-transfer.ts';
import type { FromWorker, ResultOf, ToWorker, TrainOrder } from './train-messages.ts';

/**
 * Arrays are outside the JavaScript heap, so the young generation needs little room; the default of V8 costs
 * 40 MB more (SmolLM2-135M, Node 20, 2026).
 */
const YOUNG_MEGABYTES = 6;

/**
 * Does the ordered work in a thread of its own.
 *
 * @throws whatever the work throws; QdyloraError NATIVE where the thread ends without a message
 */
export function inTrainingThread<O extends TrainOrder>(
  script: URL,
  order: O,
  { signal, onEvent }: { readonly signal: AbortSignal; readonly onEvent?: (event: FinetuneEvent) => void },
): Promise<ResultOf<O>> {
  const worker = new Worker(script, {
    workerData: order,
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MEGABYTES },
  });
  const stop = (): void =>
    worker.postMessage({ type: 'stop', reason: packError(signal.reason) } satisfies ToWorker);
  signal.addEventListener('abort', stop);
  return new Promise<ResultOf<O>>((resolve, reject) => {
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'event') onEvent?.(message.event);
      else if (message.type === 'result') resolve(message.result as ResultOf<O>);
      else reject(unpackError(message.error));
    });
    worker.on('error', reject);
    worker.on('exit', (code) =>
      reject(
        new QdyloraError('NATIVE', {
          where: 'train',
          problem: `The training thread ended without a result (${code}).`,
          nextStep: 'Resume from the last checkpoint with --resume-from-checkpoint auto.',
        }),
      ),
    );
  }).finally(() => signal.removeEventListener('abort', stop));
}
