import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A launcher of this machine, and how it starts n workers. */
export interface MpiLauncher {
  readonly name: string;
  readonly command: string;
  args(count: number): string[];
}

const OPEN_MPI = ['--allow-run-as-root', '--oversubscribe', '--bind-to', 'none', '--mca', 'btl', 'sm,self'];

const CANDIDATES: readonly MpiLauncher[] = [
  { name: 'Open MPI', command: 'mpirun.openmpi', args: (count) => [...OPEN_MPI, '-np', String(count)] },
  { name: 'MPICH', command: 'mpirun.mpich', args: (count) => ['-np', String(count)] },
];

/** The launchers that are installed. Says which ones are not. */
export function installedLaunchers(): MpiLauncher[] {
  return CANDIDATES.filter(({ name, command }) => {
    const isThere = spawnSync(command, ['--version']).status === 0;
    if (!isThere)
      console.log(`skipped: ${name} (there is no ${command}; Debian: apt-get install openmpi-bin mpich)`);
    return isThere;
  });
}

/** Runs a file of this folder on n workers. */
export function launch(
  { command, args }: MpiLauncher,
  count: number,
  file: string,
  ...rest: readonly string[]
): Promise<{ readonly status: number | null; readonly output: string; readonly seconds: number }> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const start = performance.now();
  const node = [process.execPath, '--conditions=source', '--import', 'tsx', path, ...rest];
  const child = spawn(command, [...args(count), ...node], {
    env: { ...process.env, OMPI_MCA_mpi_yield_when_idle: '1' },
  });
  let output = '';
  child.stdout.on('data', (text) => (output += String(text)));
  child.stderr.on('data', (text) => (output += String(text)));
  return new Promise((done, fail) => {
    child.on('error', fail);
    child.on('close', (status) => done({ status, output, seconds: (performance.now() - start) / 1000 }));
  });
}
