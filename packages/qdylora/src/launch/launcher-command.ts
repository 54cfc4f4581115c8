import { spawnSync } from 'node:child_process';
import { availableParallelism, userInfo } from 'node:os';
import { QdyloraError } from '@qdylora/contract';

/** The names under which MPI launchers are installed, in the order in which they are tried. */
const LAUNCHERS = ['mpirun', 'mpiexec', 'mpirun.openmpi', 'mpirun.mpich', 'mpiexec.hydra'];

export interface LauncherCommand {
  readonly command: string;
  /** Up to the program that it starts. */
  readonly args: readonly string[];
}

/**
 * The launcher of this machine, and its flags for that many workers.
 *
 * @throws QdyloraError MISSING_FILE where there is none
 */
export function launcherCommand({
  workers,
  hosts,
}: {
  readonly workers: number;
  readonly hosts: readonly string[];
}): LauncherCommand {
  for (const command of LAUNCHERS) {
    const { status, stdout } = spawnSync(command, ['--version'], { encoding: 'utf8' });
    if (status !== 0) continue;
    return {
      command,
      args: /open ?mpi|open-mpi/i.test(stdout) ? openMpiFlags(workers, hosts) : mpichFlags(workers, hosts),
    };
  }
  throw new QdyloraError('MISSING_FILE', {
    where: 'launch',
    problem: `There is no MPI launcher (tried ${LAUNCHERS.join(', ')})`,
    nextStep: 'Install one: apt-get install openmpi-bin, or apt-get install mpich.',
  });
}

/** Open MPI would bind a worker to one processor, and refuse root and more workers than processors. */
function openMpiFlags(workers: number, hosts: readonly string[]): string[] {
  const isCrowded = hosts.length === 0 && workers > availableParallelism();
  return [
    ...(userInfo().uid === 0 ? ['--allow-run-as-root'] : []),
    ...(isCrowded ? ['--oversubscribe'] : []),
    ...['--bind-to', 'none', '-np', String(workers)],
    ...(hosts.length > 0 ? ['--host', hosts.join(',')] : []),
  ];
}

const mpichFlags = (workers: number, hosts: readonly string[]): string[] => [
  ...['-np', String(workers)],
  ...(hosts.length > 0 ? ['-hosts', hosts.join(',')] : []),
];
