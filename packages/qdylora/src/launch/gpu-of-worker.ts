import { QdyloraError } from '@qdylora/contract';
import type { PlacedWorker } from './place-workers.ts';

type GpuPlace = Pick<PlacedWorker, 'host' | 'gpus'>;

/**
 * The number of the GPU that a worker trains on: its place among the workers of its host that see the same
 * GPUs, which is the local rank of the launcher. Workers to which CUDA_VISIBLE_DEVICES, or Slurm, shows other
 * GPUs each take their first one. Null: it trains on none.
 *
 * @throws QdyloraError BAD_CONFIG on all workers where some of them have no GPU of their own
 * @example
 * gpuOfWorker([{ host: 'a', gpus: ['0000:17:00', '0000:65:00'] }, …], 1); // 1
 */
export function gpuOfWorker(workers: readonly GpuPlace[], rank: number): number | null {
  const withoutGpu = workers.find(
    ({ gpus }, worker) => gpus !== null && placeOf(workers, worker) >= gpus.length,
  );
  if (withoutGpu) throw tooFew(withoutGpu, sharersOf(workers, withoutGpu).length);
  return workers[rank].gpus === null ? null : placeOf(workers, rank);
}

/** The workers of the host that see the same GPUs. */
const sharersOf = (workers: readonly GpuPlace[], { host, gpus }: GpuPlace): GpuPlace[] =>
  workers.filter((other) => other.host === host && String(other.gpus) === String(gpus));

const placeOf = (workers: readonly GpuPlace[], rank: number): number =>
  sharersOf(workers, workers[rank]).indexOf(workers[rank]);

const tooFew = ({ host, gpus }: GpuPlace, workers: number): QdyloraError =>
  new QdyloraError('BAD_CONFIG', {
    where: 'cuda',
    problem:
      `${workers} workers of host ${host} share ${gpus!.length} GPU${gpus!.length === 1 ? '' : 's'}, ` +
      'but each worker needs one of its own',
    nextStep: `Start at most ${gpus!.length} on this host (launch -n), or use --backend cpu.`,
    details: { workers, gpus: gpus!.length, isAgreed: true },
  });
