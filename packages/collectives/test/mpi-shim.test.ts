import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installedLaunchers, launch, temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { shimCommand } from '../src/mpi/mpi-libraries.ts';

/** Two workers start in seconds; machines with other work take longer. */
const TIMEOUT = 120_000;

const launchers = installedLaunchers().map((launcher) => ({
  ...launcher,
  mpicc: launcher.command.replace('mpirun', 'mpicc'),
}));

it.for(launchers.length === 0 ? ['no MPI launcher is installed'] : [])(
  'a shim is not tested: %s',
  (why, { skip }) => {
    skip(why);
  },
);

describe.each(launchers)('the shim that $mpicc compiles', ({ mpicc, ...launcher }) => {
  const folder = temporaryFolder();
  const { status, stderr } = spawnSync('sh', ['-c', `cd ${folder} && ${shimCommand(mpicc)}`], {
    encoding: 'utf8',
  });
  const reason = status === 0 ? null : stderr.trim().split('\n')[0];
  if (reason) console.log(`skipped: the shim of ${mpicc} (${reason})`);

  it(
    'runs every collective on two workers',
    async ({ skip }) => {
      skip(reason !== null, reason ?? '');
      process.env.QDYLORA_MPI_LIBRARY = join(folder, 'qdylora-mpi.so');
      try {
        const path = fileURLToPath(new URL('every-collective.ts', import.meta.url));
        const outcome = await launch(launcher, 2, ['--conditions=source', '--import', 'tsx', path]);
        expect(outcome.output.match(/all right/g), outcome.output).toHaveLength(2);
        expect(outcome.status).toBe(0);
      } finally {
        delete process.env.QDYLORA_MPI_LIBRARY;
      }
    },
    TIMEOUT,
  );
});
