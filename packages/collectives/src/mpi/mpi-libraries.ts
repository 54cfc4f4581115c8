import { join } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import { packageFolder } from '../load-addon.ts';
import type { MpiAddon, OpenedWorld } from './mpi-addon.ts';

/**
 * Binary interface of a library: `openmpi` (Open MPI 4 and 5), `mpich` (MPICH 3.1 and newer, Intel MPI, Cray
 * MPICH, MVAPICH), `standard` (that of MPI 5), `shim` (compiled from native/mpi/mpi-shim.c over any other
 * one).
 */
export type MpiAbi = 'openmpi' | 'mpich' | 'standard' | 'shim';

/** An MPI library to try: where it is, and which binary interface it has. */
export interface MpiLibrary {
  /** A path, or a name that the system's loader finds. */
  readonly path: string;
  /** null: the library is asked what it is. */
  readonly abi: MpiAbi | null;
}

/** In the order of native/mpi/mpi-library.h. */
const ABIS: readonly MpiAbi[] = ['openmpi', 'mpich', 'standard', 'shim'];

/** The libraries of each interface, by the names under which they are installed. */
export const MPI_LIBRARIES: Readonly<Record<Exclude<MpiAbi, 'shim'>, readonly MpiLibrary[]>> = {
  openmpi: [{ path: 'libmpi.so.40', abi: 'openmpi' }],
  mpich: [
    { path: 'libmpi.so.12', abi: 'mpich' },
    { path: 'libmpich.so.12', abi: 'mpich' },
  ],
  standard: [{ path: 'libmpi_abi.so.1', abi: 'standard' }],
};

const SHIM_FILE = 'qdylora-mpi.so';

/** Compiles a shim over the library of an `mpicc`, for libraries whose binary interface is not known. */
export function shimCommand(mpicc = 'mpicc'): string {
  const source = join(packageFolder(), 'native', 'mpi', 'mpi-shim.c');
  return `${mpicc} -shared -fPIC -O2 ${quoted(source)} -o ${SHIM_FILE}`;
}

/** For a POSIX shell, where the path has a character that means something there. */
export const quoted = (path: string): string =>
  /^[\w./@-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;

/** How libraries of each interface begin their version (MPI_Get_library_version). */
const VERSIONS: Readonly<Record<'openmpi' | 'mpich', RegExp>> = {
  openmpi: /^(Open MPI|IBM Spectrum MPI)/,
  mpich: /^(MPICH|Intel\(R\) MPI|MPI VERSION *: *CRAY MPICH|MVAPICH)/,
};

/**
 * The binary interface of a library, by its name and version.
 *
 * @throws QdyloraError UNSUPPORTED where it is none of those that are known
 */
export function abiOf(path: string, { version, isShim }: ReturnType<MpiAddon['identify']>): MpiAbi {
  if (isShim === 1) return 'shim';
  if (path.slice(path.lastIndexOf('/') + 1).startsWith('libmpi_abi')) return 'standard';
  const found = (['openmpi', 'mpich'] as const).find((abi) => VERSIONS[abi].test(version));
  if (found) return found;
  throw new QdyloraError('UNSUPPORTED', {
    where: 'mpi',
    problem:
      `${path} says that it is "${version.split('\n')[0].slice(0, 200)}", ` +
      'and the binary interface of that library is not known',
    nextStep:
      'Supported are Open MPI 4 and 5, MPICH 3.1 and newer with its relatives (Intel MPI, Cray MPICH, ' +
      'MVAPICH), and any library with the interface of MPI 5 (libmpi_abi.so.1). For another one compile a ' +
      `shim with its mpicc, and name it: ${shimCommand()}; export QDYLORA_MPI_LIBRARY=$PWD/${SHIM_FILE}`,
    details: { path, version },
  });
}

/** @throws QdyloraError UNSUPPORTED where none can be opened, or where the interface of one is not known */
export function openFirstLibrary(addon: MpiAddon, libraries: readonly MpiLibrary[]): OpenedWorld {
  const refusals: string[] = [];
  for (const { path, abi } of libraries) {
    try {
      return addon.open(path, ABIS.indexOf(abi ?? abiOf(path, addon.identify(path))));
    } catch (error) {
      if (QdyloraError.isInstance(error)) throw error;
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
