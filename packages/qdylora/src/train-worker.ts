import { parentPort, workerData } from 'node:worker_threads';
import { connectWorld, type Communicator } from '@qdylora/collectives';
import { QdyloraError } from '@qdylora/contract';
import { usableThreads } from '@qdylora/cpu-kernels';
import { launchedWorker } from './cli/read-env.ts';
import { packError, unpackError } from './cli/worker/error-transfer.ts';
import { listeningController } from './cli/worker/listening-controller.ts';
import type { FromWorker, ToWorker, TrainOrder } from './cli/worker/train-messages.ts';
import { asErrorOfWorker } from './cli/worker/worker-of-world.ts';
import { placesText, placeWorkers } from './launch/place-workers.ts';
import { shareOfThreads } from './launch/share-of-threads.ts';
import { leaveSign } from './launch/worker-signs.ts';
import { finetune, type FinetuneResult } from './recipes/finetune.ts';
import { planRun } from './recipes/plan-run.ts';
import { assistRun } from './recipes/run/assist-run.ts';
import type { PreparedRun } from './recipes/run/prepare-run.ts';

/**
 * The training thread: runs `finetune` and posts its events, or plans a run. The thread of the command stays
 * free for progress and Ctrl-C. Under an MPI launcher it joins the workers; only the first one has a result.
 */
const port = parentPort!;
const post = (message: FromWorker): void => port.postMessage(message);
const order = workerData as TrainOrder;
const { signal } = listeningController(port, ({ reason }: ToWorker) => unpackError(reason));

async function train(requested: PreparedRun): Promise<FinetuneResult | null> {
  const workers = await connectWorld();
  if (workers.library === 'one process') return lead(requested, null);
  const placed = await placeWorkers(workers);
  const threads = shareOfThreads(placed, workers.rank, usableThreads());
  const options = { ...requested, numThreads: requested.numThreads ?? threads };
  if (workers.rank === 0) post({ type: 'event', event: { type: 'notice', message: placesText(placed) } });
  try {
    const result =
      workers.rank === 0 ? await lead(options, workers) : await assistRun(options, { workers, signal });
    await workers.close();
    return result ?? null;
  } catch (error) {
    // When one worker leaves, the launcher ends the others; where all stop together, one may still save.
    if (QdyloraError.isInstance(error) && error.details.isAgreed) await workers.close();
    throw asErrorOfWorker(error, workers);
  }
}

/** An MPI launcher may end with status 0 after a worker was killed: `qdylora launch` counts these signs. */
function saySuccess(): void {
  const worker = launchedWorker();
  if (worker) leaveSign(worker.folder, 'finished', worker.rank);
}

async function lead(options: PreparedRun, workers: Communicator | null): Promise<FinetuneResult> {
  const run = finetune({ ...options, workers, signal });
  for await (const event of run) post({ type: 'event', event });
  return run.result;
}

try {
  const result =
    order.task === 'train'
      ? await train(order.options)
      : await planRun(order.config, { color: order.color, signal });
  saySuccess();
  post({ type: 'result', result });
} catch (error) {
  post({ type: 'error', error: packError(error) });
} finally {
  port.close();
}
