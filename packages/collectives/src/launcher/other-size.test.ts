import { expect, it } from 'vitest';
import { otherSize } from './other-size.ts';
import type { LauncherName } from './read-launcher.ts';

const messageFor = (name: LauncherName, known: number): string => {
  const launcher = { name, rank: 0, size: 4, localRank: null, localSize: null };
  return otherSize(launcher, { size: known, library: 'Open MPI v5.0.7' }).message;
};

it('a library that knows one process of Slurm was started without MPI', () => {
  expect(messageFor('slurm', 1)).toMatch(
    /^\[mpi\] The launcher \(slurm\) has 4 workers, but Open MPI v5\.0\.7 knows 1\. Slurm .*--mpi=pmix/,
  );
});

it.each<[LauncherName, string]>([
  ['openmpi', 'unset OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE,'],
  ['mpich', 'unset PMI_RANK and PMI_SIZE,'],
])('of %s, variables may be left over, or the library is another one', (name, advice) => {
  expect(messageFor(name, 1)).toContain(advice);
  expect(messageFor(name, 1)).toContain('QDYLORA_MPI_LIBRARY=/path/libmpi.so');
});

it('a library that knows another number of several workers belongs to another MPI', () => {
  expect(messageFor('slurm', 2)).toMatch(/knows 2\. The library belongs to another MPI\. Name that of/);
});
