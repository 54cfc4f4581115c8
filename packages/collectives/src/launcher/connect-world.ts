import { QdyloraError } from '@qdylora/contract';
import type { Communicator } from '../communicator.ts';
import { connectMpi } from '../mpi/connect-mpi.ts';
import { MPI_LIBRARIES, type MpiLibrary } from '../mpi/mpi-libraries.ts';
import { oneProcess } from '../one-process.ts';
import { otherSize } from './other-size.ts';
import { readLauncher, type Launcher } from './read-launcher.ts';

/**
 * Options of `connectWorld`: the environment that describes the launcher, and the time limit of a collective.
 */
export interface ConnectWorldOptions {
  /** Variables of the process; `process.env` by default. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** As of `connectMpi`. */
  readonly timeoutSeconds?: number;
}

/**
 * Joins the workers that a launcher started: `mpirun -n 4 node program.js`, `srun -n 4 node program.js`.
 * Without a launcher it is a world of one process, and also for a single worker of Slurm or torchrun. A
 * single worker of mpirun joins MPI.
 *
 * `QDYLORA_MPI_LIBRARY` names the library where the launcher's own is not found.
 *
 * @throws QdyloraError UNSUPPORTED where no library can be opened, or for several workers of torchrun;
 * COLLECTIVE_FAILED where the library knows another number of workers than the launcher
 * @example
 * await using world = await connectWorld();
 * await world.allReduce(gradients);
 */
export async function connectWorld({
  env = process.env,
  timeoutSeconds,
}: ConnectWorldOptions = {}): Promise<Communicator> {
  const launcher = readLauncher(env);
  if (!launcher) return oneProcess();
  const needsMpi = launcher.size > 1 || launcher.name === 'openmpi' || launcher.name === 'mpich';
  if (!needsMpi) return oneProcess();
  const world = connectMpi({ libraries: librariesFor(launcher, env), timeoutSeconds });
  if (world.size === launcher.size) return world;
  throw otherSize(launcher, world);
}

/** @throws QdyloraError UNSUPPORTED for torchrun, which starts processes without MPI */
function librariesFor(
  { name, size }: Launcher,
  { QDYLORA_MPI_LIBRARY: path }: Readonly<Record<string, string | undefined>>,
): readonly MpiLibrary[] {
  if (path) return [{ path, abi: null }];
  const { openmpi, mpich, standard } = MPI_LIBRARIES;
  switch (name) {
    case 'openmpi':
      return openmpi;
    case 'mpich':
      return [...mpich, ...standard];
    case 'slurm':
      return [...openmpi, ...mpich, ...standard];
    case 'torchrun':
      throw new QdyloraError('UNSUPPORTED', {
        where: 'torchrun',
        problem: `torchrun started ${size} workers, but gives them no MPI`,
        nextStep: `Start them with mpirun -n ${size}, or with srun.`,
      });
  }
}
