import { QdyloraError } from '@qdylora/contract';
import type { MpiAddon, OpenedWorld } from './mpi-addon.ts';

/**
 * Binary interface of a library: `openmpi` (Open MPI 4 and 5), `mpich` (MPICH 3.1 and newer, Intel MPI, Cray
 * MPICH, MVAPICH), `standard` (that of MPI 5).
 */
export type MpiAbi = 'openmpi' | 'mpich' | 'standard';

export interface MpiLibrary {
  /** A path, or a name that the system's loader finds. */
  readonly path: string;
  readonly abi: MpiAbi;
}

/** In the order of native/mpi-library.h. */
const ABIS: readonly MpiAbi[] = ['openmpi', 'mpich', 'standard'];

/** The libraries of each interface, by the names under which they are installed. */
export const MPI_LIBRARIES: Readonly<Record<MpiAbi, readonly MpiLibrary[]>> = {
  openmpi: [{ path: 'libmpi.so.40', abi: 'openmpi' }],
  mpich: [
    { path: 'libmpi.so.12', abi: 'mpich' },
    { path: 'libmpich.so.12', abi: 'mpich' },
  ],
  standard: [{ path: 'libmpi_abi.so.1', abi: 'standard' }],
};

/** The interface of a library, by its name; null: unknown. */
export function abiOf(path: string): MpiAbi | null {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (name.startsWith('libmpi_abi')) return 'standard';
  if (/^libmpi(ch|fort|cxx)?\.so\.12/.test(name) || name.startsWith('libmpich')) return 'mpich';
  return name.startsWith('libmpi.so') ? 'openmpi' : null;
}

/** @throws QdyloraError UNSUPPORTED where none can be opened */
export function openFirstLibrary(addon: MpiAddon, libraries: readonly MpiLibrary[]): OpenedWorld {
  const refusals: string[] = [];
  for (const { path, abi } of libraries) {
    try {
      return addon.open(path, ABIS.indexOf(abi));
    } catch (error) {
      refusals.push(`${path} (${(error as Error).message})`);
    }
  }
  throw new QdyloraError('UNSUPPORTED', {
    where: 'mpi',
    problem: `No MPI library can be opened. Tried: ${refusals.join('; ')}`,
    nextStep:
      'Install the MPI of your launcher (Debian: openmpi-bin or mpich), or name its library: ' +
      'QDYLORA_MPI_LIBRARY=/path/libmpi.so.',
  });
}
