import { QdyloraError } from '@qdylora/contract';
import type { Communicator } from '../communicator.ts';
import { placeVariables, type Launcher } from './read-launcher.ts';

/** The error for a library that knows another number of workers than the launcher. */
export function otherSize(launcher: Launcher, world: Pick<Communicator, 'size' | 'library'>): QdyloraError {
  return new QdyloraError('COLLECTIVE_FAILED', {
    where: 'mpi',
    problem:
      `The launcher (${launcher.name}) has ${launcher.size} workers, ` +
      `but ${world.library} knows ${world.size}`,
    nextStep: world.size === 1 ? adviceWithoutMpi(launcher) : OTHER_LIBRARY,
    details: { launcher: launcher.name, workers: launcher.size, known: world.size },
  });
}

const OTHER_LIBRARY =
  'The library belongs to another MPI. Name that of the launcher: QDYLORA_MPI_LIBRARY=/path/libmpi.so.';

/** For a library that knows this process alone: mostly nobody started it with MPI. */
function adviceWithoutMpi({ name }: Launcher): string {
  if (name === 'slurm')
    return (
      'Slurm started the workers without MPI: use srun --mpi=pmix (srun --mpi=list shows what there is), ' +
      'or mpirun within the allocation.'
    );
  return (
    `If no launcher started this process, unset ${placeVariables(name).join(' and ')}, which one has left. ` +
    `Otherwise: ${OTHER_LIBRARY}`
  );
}
