import { readFileSync } from 'node:fs';
import { readLauncher } from '@qdylora/collectives';
import { QdyloraError } from '@qdylora/contract';

/** What the environment decides. The only file of `cli` that reads environment variables. */
export interface Environment {
  /** Somebody watches: progress may redraw its line. */
  readonly isTty: boolean;
  /** Colours in results; notes go to another stream. */
  readonly hasColor: boolean;
  readonly hasColorInNotes: boolean;
  readonly columns: number;
  /** Somebody can type. */
  readonly canAsk: boolean;
  /** True under nohup, also within a script: the command continues when its terminal closes. */
  readonly outlivesTerminal: boolean;
}

const DEFAULT_COLUMNS = 80;

export function readEnvironment(): Environment {
  const { NO_COLOR, FORCE_COLOR, TERM, _: command = '' } = process.env;
  const isTty = process.stderr.isTTY === true && TERM !== 'dumb';
  const isForced = FORCE_COLOR !== undefined && FORCE_COLOR !== '' && FORCE_COLOR !== '0';
  const hasColor = ({ isTTY }: { readonly isTTY?: boolean }): boolean =>
    isForced || (!NO_COLOR && isTTY === true && TERM !== 'dumb');
  return {
    isTty,
    hasColor: hasColor(process.stdout),
    hasColorInNotes: hasColor(process.stderr),
    get columns() {
      // a terminal without a size says 0
      return process.stderr.columns || process.stdout.columns || DEFAULT_COLUMNS;
    },
    canAsk: process.stdin.isTTY === true,
    outlivesTerminal: /(^|\/)nohup$/.test(command) || isUnderNohup(),
  };
}

/**
 * Whether one of the processes that started this one, in its session, ignores SIGHUP. A script under nohup
 * does. Programs that it starts inherit that, but Node, and so npx, resets it for itself and its programs.
 */
function isUnderNohup(): boolean {
  const session = parentAndSession(process.pid)?.session;
  for (let pid = process.ppid; pid > 1;) {
    const parent = parentAndSession(pid);
    if (parent === null || parent.session !== session) return false;
    if (ignoresHangup(processFile(pid, 'status'))) return true;
    pid = parent.parentPid;
  }
  return false;
}

/** The parent and the session of a process (proc(5), stat); null where the system does not say. */
function parentAndSession(pid: number): { readonly parentPid: number; readonly session: number } | null {
  const afterName = /\) \S (\d+) \d+ (\d+) [^)]*$/.exec(processFile(pid, 'stat'));
  return afterName && { parentPid: Number(afterName[1]), session: Number(afterName[2]) };
}

function processFile(pid: number, name: 'stat' | 'status'): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return '';
  }
}

/** Whether the status of a process says that it ignores SIGHUP, the lowest bit of `SigIgn` (proc(5)). */
export const ignoresHangup = (status: string): boolean => /^SigIgn:\s*[0-9a-f]*[13579bdf]$/m.test(status);

/** The variable in which `qdylora launch` names the folder for the signs of its workers. */
export const WORKER_SIGNS = 'QDYLORA_WORKER_SIGNS';

/** The variable that turns colours off (no-color.org). */
export const NO_COLOR = 'NO_COLOR';

/** The variable in which `qdylora launch` gives its workers its words: a JSON array. */
export const LAUNCH_WORDS = 'QDYLORA_LAUNCH_WORDS';

/** The workers of which this process is one. */
export interface StartedWorkers {
  readonly count: number;
  /** The words of `qdylora launch`; null where the launcher was called without it, or lost them. */
  readonly words: readonly string[] | null;
}

/** The workers that were started with this process; null for a process alone. */
export function startedWorkers(): StartedWorkers | null {
  const launcher = readLauncher(process.env);
  const words = process.env[LAUNCH_WORDS];
  if (!launcher || (launcher.size === 1 && !words)) return null;
  return { count: launcher.size, words: words ? (JSON.parse(words) as string[]) : null };
}

/** The variable for how long workers wait for one another, in seconds; 0: without a limit. */
export const COLLECTIVE_SECONDS = 'QDYLORA_COLLECTIVE_SECONDS';

/**
 * Seconds that workers wait for one another, from `QDYLORA_COLLECTIVE_SECONDS`; undefined: the default, 10
 * minutes. @throws QdyloraError BAD_CONFIG
 */
export function collectiveSeconds(): number | undefined {
  const text = process.env[COLLECTIVE_SECONDS]?.trim();
  if (!text) return undefined;
  const seconds = Number(text);
  if (Number.isFinite(seconds) && seconds >= 0) return seconds;
  throw new QdyloraError('BAD_CONFIG', {
    where: COLLECTIVE_SECONDS,
    problem: `It must be a number of seconds of at least 0 (got ${text}).`,
    nextStep: 'Set it to a number such as 3600, or to 0 for no limit.',
  });
}

/** The variable that names the MPI library of a worker. */
export const MPI_LIBRARY = 'QDYLORA_MPI_LIBRARY';

/** Whether the environment names the MPI library of this worker. */
export const namesMpiLibrary = (): boolean => Boolean(process.env[MPI_LIBRARY]);

/** Where a worker of `qdylora launch` leaves its signs, and its number; null for other processes. */
export function launchedWorker(): { readonly folder: string; readonly rank: number } | null {
  const folder = process.env[WORKER_SIGNS];
  const launcher = readLauncher(process.env);
  return folder && launcher ? { folder, rank: launcher.rank } : null;
}
