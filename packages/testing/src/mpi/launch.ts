import { spawn, spawnSync, type ChildProcess } from 'node:child_process';

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

export interface LaunchOutcome {
  readonly status: number | null;
  /** What all workers and the launcher printed. */
  readonly output: string;
  readonly seconds: number;
}

/** Runs `node` with these arguments on n workers. */
export function launch(
  launcher: MpiLauncher,
  count: number,
  nodeArgs: readonly string[],
): Promise<LaunchOutcome> {
  const { outcome } = startLaunch(launcher, count, nodeArgs);
  return outcome;
}

/**
 * The same, with the process of the launcher.
 *
 * @param variables added to the environment of the workers
 */
export function startLaunch(
  { command, args }: MpiLauncher,
  count: number,
  nodeArgs: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): { readonly child: ChildProcess; readonly outcome: Promise<LaunchOutcome> } {
  const child = spawn(command, [...args(count), process.execPath, ...nodeArgs], {
    // workers that wait leave the processor to those that compute
    env: { ...process.env, OMPI_MCA_mpi_yield_when_idle: '1', ...variables },
  });
  return { child, outcome: watchLaunch(child) };
}

/** Collects what a launcher prints until it ends. */
export function watchLaunch(child: ChildProcess): Promise<LaunchOutcome> {
  const start = performance.now();
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (output += String(text)));
  return new Promise<LaunchOutcome>((done, fail) => {
    child.on('error', fail);
    child.on('close', (status) => done({ status, output, seconds: (performance.now() - start) / 1000 }));
  });
}
