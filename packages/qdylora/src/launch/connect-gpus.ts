import { connectNccl, type Communicator } from '@qdylora/collectives';
import { QdyloraError } from '@qdylora/contract';
import type { PlacedWorker } from './place-workers.ts';

/** Workers, and how they talk, as a sentence for the log and the report; null: they train on no GPUs. */
export interface ConnectedGpus {
  readonly workers: Communicator;
  readonly notice: string | null;
}

/**
 * Joins workers that all train on GPUs over NCCL, which then carries every collective of the run: closing it
 * closes the world too. Where one of them has no NCCL, they stay with MPI. All workers call it.
 *
 * @param device the GPU of this worker; null: none
 * @param timeoutSeconds of each collective; undefined: the default
 * @throws QdyloraError COLLECTIVE_FAILED where NCCL is there, and fails
 */
export async function connectGpus(
  world: Communicator,
  placed: readonly Pick<PlacedWorker, 'gpus'>[],
  { device, timeoutSeconds }: { readonly device: number | null; readonly timeoutSeconds?: number },
): Promise<ConnectedGpus> {
  if (world.size === 1 || device === null || placed.some(({ gpus }) => gpus === null))
    return { workers: world, notice: null };
  try {
    const workers = await connectNccl(world, { device, timeoutSeconds });
    return { workers, notice: `The workers exchange gradients over ${workers.library}.` };
  } catch (error) {
    if (!QdyloraError.isInstance(error) || error.code !== 'UNSUPPORTED') throw error;
    const reason = error.message.replace(/^\[[^\]]*\] /, '');
    return {
      workers: world,
      notice: `The workers exchange gradients over ${world.library}, through host memory. ${reason}`,
    };
  }
}
