import { spawnSync } from 'node:child_process';
import { QdyloraError } from '@qdylora/contract';
import {
  COLLECTIVE_SECONDS,
  collectiveSeconds,
  LAUNCH_WORDS,
  MPI_LIBRARY,
  namesMpiLibrary,
  NO_COLOR,
} from '../cli/read-env.ts';

/** The names under which MPI launchers are installed, in the order in which they are tried. */
export const MPI_LAUNCHERS = ['mpirun', 'mpiexec', 'mpirun.openmpi', 'mpirun.mpich', 'mpiexec.hydra'];

export interface LauncherCommand {
  readonly command: string;
  /** Up to the program that it starts. */
  readonly args: readonly string[];
}

export interface WorkerPlaces {
  readonly workers: number;
  /** Empty: all on this machine. */
  readonly hosts: readonly string[];
  /** Sockets of each host. Workers that fill them evenly are bound to one each. */
  readonly sockets: number;
  /** Whether they may print colours; by default they decide. */
  readonly hasColor?: boolean;
}

/**
 * The launcher of this machine, and its flags for that many workers.
 *
 * @param chosen the only one to try; null: those that are known, in turn
 * @throws QdyloraError MISSING_FILE where there is none
 */
export function launcherCommand(places: WorkerPlaces, chosen: string | null): LauncherCommand {
  const candidates = chosen === null ? MPI_LAUNCHERS : [chosen];
  for (const command of candidates) {
    const { status, stdout } = spawnSync(command, ['--version'], { encoding: 'utf8' });
    if (status !== 0) continue;
    return {
      command,
      args: /open ?mpi|open-mpi/i.test(stdout) ? openMpiFlags(places) : mpichFlags(places),
    };
  }
  throw new QdyloraError('MISSING_FILE', {
    where: 'launch',
    problem: `There is no MPI launcher (tried ${candidates.join(', ')})`,
    nextStep: 'Install one: apt-get install openmpi-bin, or apt-get install mpich.',
  });
}

/**
 * Whether each socket gets equally many workers; false where hosts name their slots, which may differ. A
 * worker that runs on two sockets reads half of its weights from the memory of the other one.
 */
const fillsSockets = ({ workers, hosts, sockets }: WorkerPlaces): boolean =>
  sockets > 1 && workers % (sockets * Math.max(1, hosts.length)) === 0 && !hosts.some(namesSlots);

const namesSlots = (host: string): boolean => host.includes(':');

/**
 * Open MPI would bind a worker to one processor, refuse root, start one worker on each host that is named,
 * refuse more workers than there are cores, and give other hosts none of our variables.
 */
export function openMpiFlags(places: WorkerPlaces): string[] {
  const { workers, hosts, hasColor = true } = places;
  const forwarded = [
    ...['-x', LAUNCH_WORDS],
    ...(collectiveSeconds() === undefined ? [] : ['-x', COLLECTIVE_SECONDS]),
    ...(namesMpiLibrary() ? ['-x', MPI_LIBRARY] : []),
    ...(hasColor ? [] : ['-x', NO_COLOR]),
  ];
  return [
    ...(process.getuid?.() === 0 ? ['--allow-run-as-root'] : []),
    ...(hosts.length === 0 ? ['--oversubscribe'] : []),
    ...(fillsSockets(places) ? ['--map-by', 'socket', '--bind-to', 'socket'] : ['--bind-to', 'none']),
    ...['-np', String(workers)],
    ...(hosts.length > 0 ? ['--host', hostsWithSlots(places).join(','), ...forwarded] : []),
  ];
}

/** Hosts without slots share the workers for which the others have none, and get one slot at least. */
function hostsWithSlots({ workers, hosts }: WorkerPlaces): string[] {
  const named = hosts.filter(namesSlots);
  const slots = named.reduce((sum, host) => sum + (Number(host.split(':')[1]) || 0), 0);
  const share = Math.max(1, Math.ceil((workers - slots) / (hosts.length - named.length)));
  return hosts.map((host) => (namesSlots(host) ? host : `${host}:${share}`));
}

export const mpichFlags = (places: WorkerPlaces): string[] => [
  ...(fillsSockets(places) ? ['-map-by', 'socket', '-bind-to', 'socket'] : []),
  ...['-np', String(places.workers)],
  ...(places.hosts.length > 0 ? ['-hosts', places.hosts.join(',')] : []),
];
