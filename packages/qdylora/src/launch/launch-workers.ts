import { spawn } from 'node:child_process';
import { launcherCommand, type WorkerPlaces } from './launcher-command.ts';

export interface LaunchOptions extends WorkerPlaces {
  readonly maxRestarts: number;
  /** The command line of each worker, without `node` and the script. */
  readonly words: readonly string[];
  /** Is passed on to the launcher, which stops all workers. */
  readonly signal: AbortSignal;
  readonly note: (text: string) => void;
}

/** The status of processes that a signal ends by request (Ctrl-C, SIGTERM), and of bad options or files. */
const FINAL = [130, 143, 2];

/** Open MPI says it, and ends with status 0, where a host does not answer any more. */
const LOST_HOST = /has lost communication with a remote daemon/;

/** Open MPI 4 and 5 would notice a host that is gone, but has not said so, after five minutes. */
const QUICK_TO_NOTICE = Object.fromEntries(
  ['OMPI', 'PRTE'].flatMap((prefix) => [
    [`${prefix}_MCA_oob_tcp_keepalive_time`, '10'],
    [`${prefix}_MCA_oob_tcp_keepalive_intvl`, '5'],
    [`${prefix}_MCA_oob_tcp_keepalive_probes`, '3'],
  ]),
);

/**
 * Starts the workers with the launcher of this machine, and again from their last checkpoint where they fail.
 *
 * @returns the exit status of the last start
 * @throws QdyloraError MISSING_FILE where there is no launcher
 */
export async function launchWorkers(options: LaunchOptions): Promise<number> {
  const { words, maxRestarts, signal, note } = options;
  const command = launcherCommand(options);
  let status = await startOnce(command, words, signal);
  for (let restart = 1; restart <= maxRestarts; restart++) {
    if (status === 0 || signal.aborted || FINAL.includes(status)) break;
    note(
      `The workers ended with status ${status}: ` +
        `start ${restart} of ${maxRestarts} from their last checkpoint.`,
    );
    status = await startOnce(command, [...words, '--resume-from-checkpoint', 'auto'], signal);
  }
  return status;
}

function startOnce(
  { command, args }: { readonly command: string; readonly args: readonly string[] },
  words: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const child = spawn(command, [...args, process.execPath, process.argv[1], ...words], {
    stdio: ['inherit', 'inherit', 'pipe'],
    env: { ...QUICK_TO_NOTICE, ...process.env },
  });
  let isHostLost = false;
  child.stderr.on('data', (text: Buffer) => {
    isHostLost ||= LOST_HOST.test(String(text));
    process.stderr.write(text);
  });
  const stop = (): void => {
    child.kill('SIGTERM');
  };
  signal.addEventListener('abort', stop);
  return new Promise<number>((done, fail) => {
    child.on('error', fail);
    child.on('close', (status) => done(isHostLost ? status || 1 : (status ?? FINAL[0])));
  }).finally(() => {
    signal.removeEventListener('abort', stop);
  });
}
