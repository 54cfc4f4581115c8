import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import type { ErrorCode } from '@qdylora/contract';
import { LAUNCH_WORDS, NO_COLOR, WORKER_SIGNS } from '../cli/read-env.ts';
import { launcherCommand, type LauncherCommand, type WorkerPlaces } from './launcher-command.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { watchProcesses, type EndedProcess } from './watch-processes.ts';
import { countFinished, errorOf, hasFinished } from './worker-signs.ts';

export interface LaunchOptions extends WorkerPlaces {
  /** The launcher to call; null: the first that is installed. */
  readonly launcher: string | null;
  readonly maxRestarts: number;
  /** The command line of each worker, without `node` and the script. */
  readonly words: readonly string[];
  /** The command line of `launch`, with which a worker says how the run is continued. */
  readonly launchWords: readonly string[];
  /** Stops all workers: those of this machine themselves, those of other hosts by their launcher. */
  readonly signal: AbortSignal;
  readonly note: (text: string) => void;
}

/**
 * Exit statuses after which the workers are not restarted, and the error code that each stands for: ended on
 * request, or wrong options or files.
 */
export const FINAL_CODES: Readonly<Record<number, ErrorCode>> = {
  130: 'ABORTED', // Ctrl-C
  143: 'ABORTED', // SIGTERM
  15: 'ABORTED', // SIGTERM, as MPICH says it
  2: 'BAD_CONFIG',
};

/** A shell adds the number of the signal that has ended a process. */
const SIGNAL_STATUS = 128;

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
 * @throws QdyloraError MISSING_FILE where there is no launcher; WRITE_FAILED
 */
export async function launchWorkers(options: LaunchOptions): Promise<number> {
  const { words, maxRestarts, signal, note } = options;
  const command = launcherCommand(options, options.launcher);
  let status = await startOnce(command, words, options);
  for (let restart = 1; restart <= maxRestarts; restart++) {
    if (status === 0 || signal.aborted || status in FINAL_CODES) break;
    note(
      `The workers ended with status ${status}: ` +
        `start ${restart} of ${maxRestarts} from their last checkpoint.`,
    );
    status = await startOnce(command, [...words, '--resume-from-checkpoint', 'auto'], options);
  }
  return status;
}

/**
 * The status of one start. Workers of this machine leave a sign when they finish: 0 of the launcher without
 * all of these signs is a failure. After a failure it notes errors that the launcher did not print. With
 * hosts, signs are not used: their folders cannot be read from here.
 */
async function startOnce(
  launcher: LauncherCommand,
  words: readonly string[],
  { workers, hosts, hasColor = true, launchWords, signal, note }: LaunchOptions,
): Promise<number> {
  const command = [process.execPath, process.argv[1], ...words];
  const variables = {
    [LAUNCH_WORDS]: JSON.stringify(launchWords),
    // Open MPI gives workers a terminal, whatever their output goes to
    ...(!hasColor && { [NO_COLOR]: '1' }),
  };
  if (hosts.length > 0) return (await runLauncher(launcher, command, { signal, variables })).status;
  const folder = temporaryFolder('qdylora-launch-');
  try {
    using watch = watchProcesses(folder, workers);
    const { status, printed } = await runLauncher(launcher, watch.watched(command), {
      signal,
      variables: { ...variables, [WORKER_SIGNS]: folder },
      running: watch.running,
    });
    const finished = countFinished(folder);
    if (status === 0 && finished === workers) return 0;
    if (status === 0)
      note(`The launcher ended with status 0, but only ${finished} of ${workers} workers finished.`);
    for (const text of unprintedErrorsOf(folder, { workers, printed, ended: watch.ended })) note(text);
    return status || 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** How long workers may save their last step after their launcher has gone. */
const SAVE_SECONDS = 20;
const KILL_SECONDS = 5;

/** Ends workers that a killed launcher has left: they would hold the folder of the run for the next start. */
async function endLeftWorkers(running: () => readonly number[]): Promise<void> {
  for (const [signal, seconds] of [
    ['SIGTERM', SAVE_SECONDS],
    ['SIGKILL', KILL_SECONDS],
  ] as const) {
    const end = performance.now() + 1000 * seconds;
    for (const pid of running()) send(pid, signal);
    while (running().length > 0 && performance.now() < end) await sleep(20);
  }
}

interface FailedStart {
  readonly workers: number;
  /** To standard error, by the launcher and by all workers. */
  readonly printed: string;
  readonly ended: readonly EndedProcess[];
}

/** Errors that the launcher lost, and the worker that ended without any. */
function unprintedErrorsOf(folder: string, { workers, printed, ended }: FailedStart): string[] {
  const errors = Array.from({ length: workers }, (_, rank) => errorOf(folder, rank));
  const plain = stripVTControlCharacters(printed);
  const unprinted = errors.filter((error) => error !== null && !plain.includes(error.split('\n', 1)[0]));
  const first = ended.find(({ rank }) => !hasFinished(folder, rank));
  const killed =
    first && errors[first.rank] === null
      ? [`[worker ${first.rank} of ${workers}] Its process ${first.pid} ended first, without an error.`]
      : [];
  return [...(unprinted as string[]), ...killed];
}

interface LauncherRun {
  readonly signal: AbortSignal;
  /** Added to the environment of the launcher, which passes it on. */
  readonly variables: Readonly<Record<string, string>>;
  /** The processes of the workers, where they are on this machine. */
  readonly running?: () => readonly number[];
}

/** The end of what was printed is kept: errors come last. */
const KEPT_CHARACTERS = 2 ** 20;

interface LauncherEnd {
  readonly status: number;
  /** To standard error, by the launcher and by all workers. */
  readonly printed: string;
}

/**
 * Runs the launcher to its end. On the signal, workers of this machine get SIGTERM and save their last step.
 * Ctrl-C does not reach the launcher then: Open MPI would kill its workers at once and drop what they print.
 */
function runLauncher(
  { command, args }: LauncherCommand,
  words: readonly string[],
  { signal, variables, running }: LauncherRun,
): Promise<LauncherEnd> {
  const isLocal = running !== undefined;
  const child = spawn(command, [...args, ...words], {
    stdio: [isLocal ? 'ignore' : 'inherit', 'inherit', 'pipe'],
    env: { ...QUICK_TO_NOTICE, ...process.env, ...variables },
    detached: isLocal, // in a process group of its own
  });
  let printed = '';
  child.stderr.on('data', (text: Buffer) => {
    printed = (printed + String(text)).slice(-KEPT_CHARACTERS);
    process.stderr.write(text);
  });
  const stop = (): void => {
    const workers = running?.() ?? [];
    if (workers.length === 0) child.kill('SIGTERM');
    for (const pid of workers) send(pid, 'SIGTERM');
  };
  signal.addEventListener('abort', stop);
  return new Promise<LauncherEnd>((done, fail) => {
    child.on('error', fail);
    // workers that it has left may hold its streams open
    let left = Promise.resolve();
    child.on('exit', (code) => {
      if (code === null && running) left = endLeftWorkers(running);
    });
    child.on('close', (code, by) => {
      const status = code ?? SIGNAL_STATUS + constants.signals[by!];
      void left.then(() => done({ status: LOST_HOST.test(printed) ? status || 1 : status, printed }));
    });
  }).finally(() => {
    signal.removeEventListener('abort', stop);
  });
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // it has just ended
  }
}
