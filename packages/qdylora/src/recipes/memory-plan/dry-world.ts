import { blocksOf, oneProcess, termsOfWorker, type Communicator } from '@qdylora/collectives';
import { DTYPE_BYTES } from '@qdylora/contract';
import type { RunConfig } from '../../config/resolve-run.ts';
import type { MemoryPart } from './memory-forecast.ts';

/** One of several workers, whose memory is planned. */
export type PlannedWorker = Pick<Communicator, 'rank' | 'size'>;

/** The worker that this process is among several; undefined for one process. */
export const workerAmong = (workers: Communicator | null | undefined): PlannedWorker | undefined =>
  workers && workers.size > 1 ? workers : undefined;

/** A worker alone: every collective ends at once, and leaves the arrays as they are. */
export function dryWorld({ rank, size }: PlannedWorker): Communicator {
  const nothing = async (): Promise<void> => {};
  return {
    ...oneProcess(),
    rank,
    size,
    library: 'a plan',
    allReduce: nothing,
    broadcast: nothing,
    allGather: nothing,
    allToAll: nothing,
  };
}

/**
 * The MPI library of a worker, with its buffers. Measured: 12 MB with Open MPI 5, 16 MB with MPICH 4 (two
 * workers of one machine, messages of 16 MB, 2026).
 */
const MPI_BYTES = 16e6;

/**
 * What a worker keeps outside the arrays of its backend while gradients are added: copies of n of them,
 *
 *     exact order:    its blocks, one padded block, what it receives of each round, and the sum
 *     fast_reduce:    the packed gradients
 *     compression:    besides them the remainder twice, and what is sent and received
 *
 * and the MPI library.
 *
 * @param elements gradients that are sent: all rows of the adapter
 */
export function exchangeParts(
  config: Pick<RunConfig, 'fastReduce' | 'gradientCompression' | 'gradientAccumulationSteps'>,
  { rank, size }: PlannedWorker,
  elements: number,
): MemoryPart[] {
  const blocks = Array.from(
    { length: size },
    (_, worker) => blocksOf(termsOfWorker(config.gradientAccumulationSteps, worker, size)).length,
  );
  const copies =
    config.gradientCompression !== 'none'
      ? 5
      : config.fastReduce
        ? 1
        : blocks[rank] + 1 + Math.max(...blocks) + 1 + 1 / size;
  return [
    { part: 'exchange of gradients', bytes: Math.ceil(copies * elements * DTYPE_BYTES.f32) },
    { part: 'MPI', bytes: MPI_BYTES },
  ];
}
