import { expect, it } from 'vitest';
import { abiOf, quoted, type MpiAbi } from './mpi-libraries.ts';

it.each<[string, string, MpiAbi]>([
  ['/usr/lib/libmpi.so.40', 'Open MPI v5.0.7, package: Debian OpenMPI', 'openmpi'],
  ['/opt/mpi/libmpi.so', 'MPICH Version:      4.2.1\nMPICH Release date: …', 'mpich'],
  ['/opt/intel/libmpi.so.12', 'Intel(R) MPI Library 2021.13 for Linux* OS\n', 'mpich'],
  ['/opt/cray/libmpi.so', 'MPI VERSION    : CRAY MPICH version 8.1.29.7', 'mpich'],
  ['libmpi_abi.so.1', 'MPICH Version:      5.0.2', 'standard'],
])('%s that says %j has its interface', (path, version, abi) => {
  expect(abiOf(path, { version, isShim: 0 })).toBe(abi);
});

it('refuses a library of another kind, and says what it is and what is supported', () => {
  const refused = (): unknown => abiOf('/opt/hpe/libmpi.so', { version: 'HPE MPT 2.25\nmore', isShim: 0 });
  expect(refused).toThrow(/hpe\/libmpi\.so says that it is "HPE MPT 2\.25", and .* is not known/);
  expect(refused).toThrow(/Supported are Open MPI 4 and 5, MPICH 3\.1 and newer/);
  expect(refused).toThrow(/mpicc -shared -fPIC -O2 .*mpi-shim\.c -o qdylora-mpi\.so/);
});

it('takes a shim for what it is, whatever library it calls', () => {
  expect(abiOf('/home/me/qdylora-mpi.so', { version: 'HPE MPT 2.25', isShim: 1 })).toBe('shim');
});

it.each([
  ['/opt/qdylora@0.1/node_modules/mpi-shim.c', '/opt/qdylora@0.1/node_modules/mpi-shim.c'],
  ['/home/my files/mpi-shim.c', "'/home/my files/mpi-shim.c'"],
  ["/home/it's/$(x)/mpi-shim.c", String.raw`'/home/it'\''s/$(x)/mpi-shim.c'`],
])('in a shell command the path %s is %s', (path, inCommand) => {
  expect(quoted(path)).toBe(inCommand);
});
