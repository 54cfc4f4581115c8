import { parentPort, workerData } from 'node:worker_threads';
import { connectWorld, type Communicator } from '@qdylora/collectives';
import { QdyloraError } from '@qdylora/contract';
import { usableThreads } from '@qdylora/cpu-kernels';
import { collectiveSeconds, launchedWorker } from './cli/read-env.ts';
import { packError, unpackError } from './cli/worker/error-transfer.ts';
import { listeningController } from './cli/worker/listening-controller.ts';
import type { FromWorker, ToWorker, TrainOrder } from './cli/worker/train-messages.ts';
import { asErrorOfWorker, isShownByFirst } from './cli/worker/worker-of-world.ts';
import { connectGpus } from './launch/connect-gpus.ts';
import { gpuOfWorker } from './launch/gpu-of-worker.ts';
import { placesText, placeWorkers } from './launch/place-workers.ts';
import { shareOfThreads } from './launch/share-of-threads.ts';
import { leaveSign } from './launch/worker-signs.ts';
import { finetune, type FinetuneResult } from './recipes/finetune.ts';
import { gpusFor } from './recipes/opening/inspect-cuda.ts';
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

/** How long the command has to print this thread's error before MPI_Abort ends all workers. */
const ERROR_PRINT_MS = 1000;

async function train(requested: PreparedRun): Promise<FinetuneResult | null> {
  const world = await connectWorld({ timeoutSeconds: collectiveSeconds() });
  if (world.library === 'one process') return trainAsFirst(requested, { workers: null });
  let workers = world;
  try {
    const { options, ...place } = await takePlace(world, requested);
    ({ workers } = place);
    const result =
      world.rank === 0 ? await trainAsFirst(options, place) : await assistRun(options, { ...place, signal });
    await workers.close();
    return result ?? null;
  } catch (error) {
    // When one worker leaves, the launcher ends the others; where all stop together, one may still save.
    if (QdyloraError.isInstance(error) && error.details.isAgreed) await workers.close();
    else if (QdyloraError.isInstance(error) && error.code === 'COLLECTIVE_FAILED') abortWorldSoon(workers);
    if (isShownByFirst(error, workers)) return null;
    throw asErrorOfWorker(error, workers);
  }
}

/**
 * Aborts the world soon. A collective that waits for a hanging worker cannot be interrupted and would keep
 * this process alive.
 */
function abortWorldSoon(workers: Communicator): void {
  setTimeout(() => workers.abort(1), ERROR_PRINT_MS).unref();
}

/** The workers of a run, and the GPU of this one. */
interface Place {
  readonly workers: Communicator | null;
  readonly device?: number;
}

/** Gives this worker its threads and its GPU. The first worker says where all of them run. */
async function takePlace(
  world: Communicator,
  requested: PreparedRun,
): Promise<Place & { readonly workers: Communicator; readonly options: PreparedRun }> {
  const placed = await placeWorkers(world, await gpusFor(requested.backend));
  const threads = shareOfThreads(placed, world.rank, usableThreads());
  const device = gpuOfWorker(placed, world.rank);
  const { workers, notice } = await connectGpus(world, placed, {
    device,
    timeoutSeconds: collectiveSeconds(),
  });
  for (const message of [placesText(placed), notice])
    if (world.rank === 0 && message !== null) post({ type: 'event', event: { type: 'notice', message } });
  const options = { ...requested, numThreads: requested.numThreads ?? threads };
  return { workers, options, ...(device !== null && { device }) };
}

/** An MPI launcher may end with status 0 after a worker was killed: `qdylora launch` counts these signs. */
function markFinished(): void {
  const worker = launchedWorker();
  if (worker) leaveSign(worker.folder, 'finished', worker.rank);
}

async function trainAsFirst(options: PreparedRun, place: Place): Promise<FinetuneResult> {
  const run = finetune({ ...options, ...place, signal });
  for await (const event of run) post({ type: 'event', event });
  return run.result;
}

try {
  const result =
    order.task === 'train'
      ? await train(order.options)
      : await planRun(order.config, { color: order.color, signal });
  markFinished();
  post({ type: 'result', result });
} catch (error) {
  post({ type: 'error', error: packError(error) });
} finally {
  port.close();
}
