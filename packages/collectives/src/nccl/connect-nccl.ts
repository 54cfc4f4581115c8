import { QdyloraError } from '@qdylora/contract';
import { callQueue } from '../call-queue.ts';
import type { Communicator } from '../communicator.ts';
import { readLauncher } from '../launcher/read-launcher.ts';
import { DEFAULT_TIMEOUT_SECONDS } from '../mpi/connect-mpi.ts';
import { queuedCommunicator } from '../queued-communicator.ts';
import { loadNcclAddon, type NcclAddon } from './nccl-addon.ts';

/** Options of `connectNccl`: the GPU of this worker, the libraries, and the time limit of a collective. */
export interface ConnectNcclOptions {
  /** The number of this worker's GPU; by default its place among the workers of its host. */
  readonly device?: number;
  /** `libnccl.so.2` by default. */
  readonly ncclPath?: string;
  /** The library of the CUDA driver; `libcuda.so.1` by default. */
  readonly cudaPath?: string;
  /** As of `connectMpi`. */
  readonly timeoutSeconds?: number;
  /** Variables of the process; `process.env` by default. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

const ID_BYTES = 128;

/**
 * Joins the workers of a world once more, with NCCL: collectives between their GPUs. Each worker has a GPU of
 * its own. The world (MPI) passes NCCL's id on; afterwards it is used by `abort` and `close` only.
 *
 * Closing the result closes `world` too. If `connectNccl` throws, `world` is still open.
 *
 * Arrays are those of the host, as of every `Communicator`: each call copies them to the GPU and back.
 *
 * @throws QdyloraError UNSUPPORTED on every worker where one of them cannot open the libraries;
 * COLLECTIVE_FAILED with `details: { call, result }` for a result of NCCL or of the driver
 * @example
 * await using world = await connectNccl(await connectWorld());
 * await world.allReduce(gradients);
 */
export async function connectNccl(
  world: Communicator,
  {
    env = process.env,
    device = readLauncher(env)?.localRank ?? 0,
    ncclPath = 'libnccl.so.2',
    cudaPath = 'libcuda.so.1',
    timeoutSeconds = DEFAULT_TIMEOUT_SECONDS,
  }: ConnectNcclOptions = {},
): Promise<Communicator> {
  const { rank, size } = world;
  const { addon, version } = await openTogether(world, { ncclPath, cudaPath });
  const queue = callQueue({ rank, size, timeoutSeconds });
  const id = new Uint8Array(ID_BYTES);
  // without an id the first worker broadcasts zeros, so that the others do not wait for it
  const refusal = rank === 0 ? tryCreateId(addon, id) : null;
  await world.broadcast(id);
  if (id.every((byte) => byte === 0))
    await queue.run('connect', () => Promise.reject(refusal ?? new Error('Worker 0 has no id.')));
  await queue.run('connect', () => addon.connect(id, rank, size, device));
  const nothing = new Int32Array(1);
  const barrier = (): Promise<void> => addon.allReduce(nothing, 0);
  return queuedCommunicator({ ...addon, barrier }, queue, {
    rank,
    size,
    library: `NCCL ${versionText(version)}`,
    abort: (status) => world.abort(status),
    close: async () => {
      // where NCCL has failed, a worker may hang: it would hang in MPI too
      if (await queue.end(() => addon.close())) await world.close();
    },
  });
}

function tryCreateId(addon: NcclAddon, id: Uint8Array): Error | null {
  try {
    addon.createId(id);
    return null;
  } catch (error) {
    return error as Error;
  }
}

/** Where one worker has no NCCL, all of them say so: the others would wait for it. */
async function openTogether(
  world: Communicator,
  { ncclPath, cudaPath }: Required<Pick<ConnectNcclOptions, 'ncclPath' | 'cudaPath'>>,
): Promise<{ readonly addon: NcclAddon; readonly version: number }> {
  const { rank, size } = world;
  let opened: { readonly addon: NcclAddon; readonly version: number } | null = null;
  let failure: unknown = null;
  try {
    const addon = loadNcclAddon();
    opened = { addon, version: addon.open(ncclPath, cudaPath) };
  } catch (error) {
    failure = error;
  }
  const hasOpened = new Int32Array(size);
  await world.allGather(Int32Array.of(opened ? 1 : 0), hasOpened);
  const without = hasOpened.indexOf(0);
  if (opened && without < 0) return opened;
  throw new QdyloraError('UNSUPPORTED', {
    where: `worker ${opened ? without : rank} of ${size}`,
    problem: opened
      ? 'This worker cannot open NCCL or the CUDA driver'
      : `NCCL or the CUDA driver cannot be opened: ${(failure as Error).message}`,
    nextStep:
      'Install NCCL 2.7 or newer on every host (pip install nvidia-nccl-cu12), and put its folder into ' +
      'LD_LIBRARY_PATH where the loader does not find it.',
    cause: failure ?? undefined,
  });
}

/** 23203 is 2.32.3; before 2.9 a version had four digits: 2708 is 2.7.8. */
function versionText(version: number): string {
  const [major, minor] = version < 10_000 ? [1000, 100] : [10_000, 100];
  return [Math.floor(version / major), Math.floor((version % major) / minor), version % minor].join('.');
}
