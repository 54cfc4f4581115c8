import { parentPort, workerData } from 'node:worker_threads';
import { packError, unpackError } from './cli/worker/error-transfer.ts';
import { listeningController } from './cli/worker/listening-controller.ts';
import type { FromWorker, ToWorker, TrainOrder } from './cli/worker/train-messages.ts';
import { finetune, type FinetuneResult } from './recipes/finetune.ts';
import { planRun } from './recipes/plan-run.ts';
import type { PreparedRun } from './recipes/run/prepare-run.ts';

/**
 * The training thread: runs `finetune` and posts its events, or plans a run. The thread of the command stays
 * free for progress and Ctrl-C.
 */
const port = parentPort!;
const post = (message: FromWorker): void => port.postMessage(message);
const order = workerData as TrainOrder;
const { signal } = listeningController(port, ({ reason }: ToWorker) => unpackError(reason));

async function train(options: PreparedRun): Promise<FinetuneResult> {
  const run = finetune({ ...options, signal });
  for await (const event of run) post({ type: 'event', event });
  return run.result;
}

try {
  post({
    type: 'result',
    result:
      order.task === 'train'
        ? await train(order.options)
        : await planRun(order.config, { color: order.color, signal }),
  });
} catch (error) {
  post({ type: 'error', error: packError(error) });
} finally {
  port.close();
}
