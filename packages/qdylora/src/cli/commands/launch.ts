import { QdyloraError } from '@qdylora/contract';
import type { Command } from 'commander';
import { FINAL_CODES, launchWorkers } from '../../launch/launch-workers.ts';
import { usableSockets } from '../../launch/processors.ts';
import type { CommonFlags, Context } from '../context.ts';

type LaunchFlags = CommonFlags & {
  readonly n?: string;
  readonly hosts?: string;
  readonly launcher?: string;
  readonly maxRestarts?: string;
};

export function addLaunchCommand(program: Command, context: Context): void {
  program
    .command('launch')
    .argument('<run.yaml>', 'The run that all workers train together')
    .argument('[flags...]', 'Flags of `qdylora train`, after --')
    .summary('train one run on several processes or hosts, with MPI')
    .description(
      'Starts workers with the MPI launcher of this machine (mpirun or mpiexec), which train one run ' +
        'together. `mpirun -n 4 qdylora train run.yaml` does the same. By default the trained adapter ' +
        'has the same bits for any number of workers.',
    )
    .option('-n <workers>', 'Number of workers; by default one for each processor socket of each host')
    .option('--hosts <names>', 'Hosts of the workers, separated by commas; they need the same files')
    .option(
      '--launcher <command>',
      'The MPI launcher to call (mpirun.mpich); by default the first that is installed',
    )
    .option(
      '--max-restarts <count>',
      'After a failure, restart all workers from the last checkpoint, at most this many times (default: 0)',
    )
    .action(async (file: string, flags: readonly string[], options: LaunchFlags) => {
      const hosts = options.hosts === undefined ? [] : hostNames(options.hosts);
      const sockets = usableSockets();
      const count = options.n ?? String(sockets * Math.max(1, hosts.length));
      const status = await context.interruptible((signal) =>
        launchWorkers({
          workers: wholeNumber('-n', count, 1),
          hosts,
          launcher: options.launcher ?? null,
          sockets,
          hasColor: context.terminal.hasColor,
          maxRestarts: wholeNumber('--max-restarts', options.maxRestarts ?? '0', 0),
          words: ['train', file, ...flags],
          launchWords: context.argv,
          signal,
          note: (text) => context.terminal.note(text),
        }),
      );
      if (status === 0) return;
      throw new QdyloraError(FINAL_CODES[status] ?? 'COLLECTIVE_FAILED', {
        where: 'launch',
        problem: `The workers ended with status ${status}`,
        nextStep:
          'Read the messages of the workers above. --max-restarts N starts them again after a failure.',
      });
    });
}

/** @throws QdyloraError BAD_ARGUMENT for an empty name */
function hostNames(text: string): string[] {
  const hosts = text.split(',').map((host) => host.trim());
  if (!hosts.includes('')) return hosts;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: '--hosts',
    problem: `A host has no name (got "${text}")`,
    nextStep: 'Separate the names by one comma: --hosts a,b.',
  });
}

/** @throws QdyloraError BAD_ARGUMENT */
function wholeNumber(flag: string, text: string, least: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least) return value;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: flag,
    problem: `${flag} must be a whole number of at least ${least} (got ${text})`,
  });
}
