/**
 * What the environment decides. The only file that reads environment variables and streams of the process.
 */
export interface Environment {
  /** Somebody watches: progress may redraw its line. */
  readonly isTty: boolean;
  readonly hasColor: boolean;
  readonly columns: number;
  /** Somebody can type. */
  readonly canAsk: boolean;
  /** True under nohup: the command continues when its terminal closes. */
  readonly outlivesTerminal: boolean;
}

const DEFAULT_COLUMNS = 80;

export function readEnvironment(): Environment {
  const { NO_COLOR, FORCE_COLOR, TERM, _: startedBy = '' } = process.env;
  const isTty = process.stderr.isTTY === true && TERM !== 'dumb';
  const isForced = FORCE_COLOR !== undefined && FORCE_COLOR !== '' && FORCE_COLOR !== '0';
  return {
    isTty,
    hasColor: isForced || (!NO_COLOR && process.stdout.isTTY === true && TERM !== 'dumb'),
    get columns() {
      return process.stderr.columns ?? process.stdout.columns ?? DEFAULT_COLUMNS;
    },
    canAsk: process.stdin.isTTY === true,
    outlivesTerminal: /(^|\/)nohup$/.test(startedBy),
  };
}

/** The variable in which `qdylora launch` names the folder for its workers' signs of success. */
export const FINISHED_WORKERS = 'QDYLORA_FINISHED_WORKERS';

/** The folder in which a worker of `qdylora launch` says that it has finished; null for others. */
export const finishedWorkersFolder = (): string | null => process.env[FINISHED_WORKERS] ?? null;
