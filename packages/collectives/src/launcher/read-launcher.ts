/** What started this process. */
export type LauncherName = 'openmpi' | 'mpich' | 'slurm' | 'torchrun';

/** The place of this process among those that its launcher started. */
export interface Launcher {
  readonly name: LauncherName;
  /** From 0 to size − 1. */
  readonly rank: number;
  readonly size: number;
  /** Among the workers of the same host; null where the launcher does not say it. */
  readonly localRank: number | null;
  /** Workers of the same host; null where the launcher does not say it. */
  readonly localSize: number | null;
}

interface Variables {
  readonly name: LauncherName;
  readonly rank: string;
  readonly size: string;
  readonly localRank: string;
  readonly localSize: string;
}

/** The variables that launchers set. The first launcher whose rank and size are both set is used. */
const LAUNCHERS: readonly Variables[] = [
  {
    name: 'openmpi',
    rank: 'OMPI_COMM_WORLD_RANK',
    size: 'OMPI_COMM_WORLD_SIZE',
    localRank: 'OMPI_COMM_WORLD_LOCAL_RANK',
    localSize: 'OMPI_COMM_WORLD_LOCAL_SIZE',
  },
  {
    name: 'mpich',
    rank: 'PMI_RANK',
    size: 'PMI_SIZE',
    localRank: 'MPI_LOCALRANKID',
    localSize: 'MPI_LOCALNRANKS',
  },
  {
    name: 'slurm',
    rank: 'SLURM_PROCID',
    size: 'SLURM_STEP_NUM_TASKS',
    localRank: 'SLURM_LOCALID',
    localSize: 'SLURM_NTASKS_PER_NODE',
  },
  {
    name: 'torchrun',
    rank: 'RANK',
    size: 'WORLD_SIZE',
    localRank: 'LOCAL_RANK',
    localSize: 'LOCAL_WORLD_SIZE',
  },
];

/**
 * Reads what the launcher says about this process. Null: it was started without one.
 *
 * @example
 * readLauncher({ OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '4' })?.rank; // 1
 */
export function readLauncher(env: Readonly<Record<string, string | undefined>>): Launcher | null {
  for (const { name, rank, size, localRank, localSize } of LAUNCHERS) {
    const place = numberOf(env[rank]);
    const workers = numberOf(env[size]);
    if (place === null || workers === null || place >= workers) continue;
    return {
      name,
      rank: place,
      size: workers,
      localRank: numberOf(env[localRank]),
      localSize: numberOf(env[localSize]),
    };
  }
  return null;
}

/** The variables with which a launcher says the number of this process and that of all. */
export function placeVariables(name: LauncherName): readonly [rank: string, size: string] {
  const { rank, size } = LAUNCHERS.find((launcher) => launcher.name === name)!;
  return [rank, size];
}

/** A whole number from 0 on, or null. */
const numberOf = (text: string | undefined): number | null =>
  text !== undefined && /^\d+$/.test(text) ? Number(text) : null;
