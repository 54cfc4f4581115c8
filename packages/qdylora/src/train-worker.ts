import { parentPort, workerData } from 'node:worker_threads';
import { packError, unpackError } from './cli/worker/error-transfer.ts';
import { listeningController } from './cli/worker/listening-controller.ts';
import type { FromWorker, ToWorker, TrainOrder } from './cli/worker/train-messages.ts';
import { finetune } from './recipes/finetune.ts';

/** The training thread: runs `finetune` and posts its events, so that the command's own thread stays free for progress and Ctrl-C. */
const port = parentPort!, post = (message: FromWorker): void => port.postMessage(message);
const { signal } = listeningController(port, ({ reason }: ToWorker) => unpackError(reason));

try {
  const run = finetune({ ...(workerData as TrainOrder).options, signal });
  for await (const event of run) post({ type: 'event', event });
  post({ type: 'result', result: await run.result });
} catch (error) {
  post({ type: 'error', error: packError(error) });
} finally {
  port.close();
}
