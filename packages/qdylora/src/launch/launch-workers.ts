import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FINISHED_WORKERS } from '../cli/read-env.ts';
import { launcherCommand, type LauncherCommand, type WorkerPlaces } from './launcher-command.ts';

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
  let status = await startOnce(command, words, options);
  for (let restart = 1; restart <= maxRestarts; restart++) {
    if (status === 0 || signal.aborted || FINAL.includes(status)) break;
    note(
      `The workers ended with status ${status}: ` +
        `start ${restart} of ${maxRestarts} from their last checkpoint.`,
    );
    status = await startOnce(command, [...words, '--resume-from-checkpoint', 'auto'], options);
  }
  return status;
}

/**
 * The status of one start. Workers of this machine leave a file each when they finish: 0 of the launcher
 * without all of these files is a failure. Folders of other hosts are not seen from here.
 */
async function startOnce(
  launcher: LauncherCommand,
  words: readonly string[],
  { workers, hosts, signal, note }: LaunchOptions,
): Promise<number> {
  if (hosts.length > 0) return runLauncher(launcher, words, { signal, variables: {} });
  const folder = mkdtempSync(join(tmpdir(), 'qdylora-launch-'));
  try {
    const status = await runLauncher(launcher, words, { signal, variables: { [FINISHED_WORKERS]: folder } });
    const finished = readdirSync(folder).length;
    if (status !== 0 || finished === workers) return status;
    note(`The launcher ended with status 0, but only ${finished} of ${workers} workers finished.`);
    return 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface LauncherRun {
  readonly signal: AbortSignal;
  /** Added to the environment of the launcher, which passes it on. */
  readonly variables: Readonly<Record<string, string>>;
}

function runLauncher(
  { command, args }: LauncherCommand,
  words: readonly string[],
  { signal, variables }: LauncherRun,
): Promise<number> {
  const child = spawn(command, [...args, process.execPath, process.argv[1], ...words], {
    stdio: ['inherit', 'inherit', 'pipe'],
    env: { ...QUICK_TO_NOTICE, ...process.env, ...variables },
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
