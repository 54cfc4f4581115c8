import { expect, it } from 'vitest';
import { connectWorld } from './connect-world.ts';
import { readLauncher } from './read-launcher.ts';

const OPEN_MPI = {
  OMPI_COMM_WORLD_RANK: '1',
  OMPI_COMM_WORLD_SIZE: '4',
  OMPI_COMM_WORLD_LOCAL_RANK: '0',
  OMPI_COMM_WORLD_LOCAL_SIZE: '2',
};

it.each([
  ['Open MPI', OPEN_MPI, { name: 'openmpi', rank: 1, size: 4, localRank: 0, localSize: 2 }],
  [
    'MPICH',
    { PMI_RANK: '0', PMI_SIZE: '2' },
    { name: 'mpich', rank: 0, size: 2, localRank: null, localSize: null },
  ],
  [
    'Slurm',
    { SLURM_PROCID: '7', SLURM_STEP_NUM_TASKS: '8', SLURM_LOCALID: '3' },
    { name: 'slurm', rank: 7, size: 8, localRank: 3, localSize: null },
  ],
  [
    'torchrun',
    { RANK: '2', WORLD_SIZE: '3', LOCAL_RANK: '2', LOCAL_WORLD_SIZE: '3' },
    { name: 'torchrun', rank: 2, size: 3, localRank: 2, localSize: 3 },
  ],
  [
    'Open MPI inside of Slurm',
    { SLURM_PROCID: '0', SLURM_STEP_NUM_TASKS: '1', ...OPEN_MPI },
    { name: 'openmpi' },
  ],
])('the variables of %s are understood', (_, env, launcher) => {
  expect(readLauncher(env)).toMatchObject(launcher);
});

it.each([
  ['no launcher', {}],
  ['a script of sbatch, which starts one process', { SLURM_PROCID: '0', SLURM_NTASKS: '8' }],
  ['a rank that is no number', { RANK: 'first', WORLD_SIZE: '2' }],
  ['a rank beyond the size', { PMI_RANK: '2', PMI_SIZE: '2' }],
])('%s is a world of one process', async (_, env) => {
  expect(readLauncher(env)).toBeNull();
  const { rank, size, library } = await connectWorld({ env });
  expect([rank, size, library]).toEqual([0, 1, 'one process']);
});

it('torchrun, which has no MPI, is refused with what to do', async () => {
  await expect(connectWorld({ env: { RANK: '0', WORLD_SIZE: '2' } })).rejects.toThrow(
    '[torchrun] torchrun started 2 workers, but gives them no MPI. ' +
      'Start them with mpirun -n 2, or with srun.',
  );
});

it('a library that cannot be opened is named, with the reason', async () => {
  const env = { ...OPEN_MPI, QDYLORA_MPI_LIBRARY: '/nowhere/libmpi.so.40' };
  await expect(connectWorld({ env })).rejects.toThrow(
    /^\[mpi\] No MPI library can be opened\. Tried: \/nowhere\/libmpi\.so\.40 \(.*No such file.*\)\. Install/,
  );
});

it('a library without the functions of MPI is refused', async () => {
  const env = { ...OPEN_MPI, QDYLORA_MPI_LIBRARY: 'libm.so.6' };
  await expect(connectWorld({ env })).rejects.toThrow(
    'Tried: libm.so.6 (it has no MPI_Get_library_version).',
  );
});
