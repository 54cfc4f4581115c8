import { NODE_FILE_SYSTEM, writeFileAt, writeFileDurably, type FileSystem } from '@qdylora/checkpoint';
import { errorMessage } from '@qdylora/contract';
import type { TrainEvent } from '@qdylora/trainer';
import { eventJson, readEventLines, type EventLine } from './event-line.ts';
import type { LogWarningEvent } from './finetune-events.ts';

/**
 * `events.jsonl` of a run: one event a line, each optimizer step once, also after a resume. Lines that cannot
 * be written wait in memory; a failure is a warning and never ends the run.
 */
export interface EventLog {
  /** Appends an event, and the events before it that could not be written. Never throws. */
  write(event: TrainEvent): void;
  /** All events of the run, those of earlier processes and those waiting in memory included. */
  events(): EventLine[];
  /** Tries a last time to write. If a write has failed, reports how many events the file lacks. */
  close(): void;
}

export interface EventLogOptions {
  /**
   * Steps done before this process. Later lines of an earlier process, and an incomplete line, are removed.
   */
  readonly startStep: number;
  /** Called at the first failure, and once by `close`. */
  readonly warn: (warning: LogWarningEvent) => void;
  /** Node's by default. */
  readonly fs?: FileSystem;
}

/** Characters that wait in memory for a full disk: about 4,000 steps. Later events are lost, and counted. */
const MOST_WAITING = 2 ** 20;

export function openEventLog(
  path: string,
  { startStep, warn, fs = NODE_FILE_SYSTEM }: EventLogOptions,
): EventLog {
  const file = openLogFile(path, startStep, fs);
  let waiting = '';
  let waitingCount = 0;
  let lostCount = 0;
  let step = startStep;
  let reason: string | null = null;
  const tell = (failure: string, message: string): void => {
    const unwrittenEvents = waitingCount + lostCount;
    const code = 'LOG_NOT_WRITTEN';
    warn({ type: 'warning', code, message, step, path, reason: failure, unwrittenEvents });
  };
  const fail = (error: unknown, verb: LogFailure['verb']): void => {
    const isFirst = reason === null;
    reason = systemMessage(error);
    const state = 'Training goes on, and what cannot be written waits in memory';
    if (isFirst) tell(reason, logFailure(path, { reason, verb, state }));
  };
  const flush = (): void => {
    try {
      file.append(waiting);
      waiting = '';
      waitingCount = 0;
    } catch (error) {
      fail(error, 'append to');
    }
  };
  return {
    write(event) {
      if ('step' in event) ({ step } = event);
      if (waiting.length > MOST_WAITING) lostCount++;
      else {
        waiting += `${JSON.stringify(eventJson(event))}\n`;
        waitingCount++;
      }
      flush();
    },
    events() {
      try {
        return readEventLines(file.text() + waiting);
      } catch (error) {
        fail(error, 'read');
        return readEventLines(waiting);
      }
    },
    close() {
      if (waitingCount > 0) flush();
      if (reason !== null) tell(reason, closingMessage(path, reason, waitingCount + lostCount));
    },
  };
}

/** The file of a log. Both methods throw what the file system throws. */
interface LogFile {
  append(lines: string): void;
  /** Its whole lines. */
  text(): string;
}

function openLogFile(path: string, startStep: number, fs: FileSystem): LogFile {
  /**
   * Bytes of whole lines in the file; null until the lines of an earlier process are read. The next append
   * overwrites an incomplete line beyond them, since it begins with the same bytes.
   */
  let wholeBytes: number | null = null;
  return {
    append(lines) {
      wholeBytes ??= keepLines(path, startStep, fs);
      const bytes = Buffer.from(lines);
      writeFileAt(path, bytes, wholeBytes, fs);
      wholeBytes += bytes.length;
    },
    text: () =>
      wholeBytes === null
        ? ''
        : Buffer.from(fs.readFileSync(path, 'utf8')).subarray(0, wholeBytes).toString('utf8'),
  };
}

/** Keeps the lines that an earlier process logged up to `startStep`.  @returns the bytes of the file then */
function keepLines(path: string, startStep: number, fs: FileSystem): number {
  const texts = fs.existsSync(path) ? fs.readFileSync(path, 'utf8').split('\n') : [];
  const lines = texts.filter((line) => isBefore(line, startStep)).map((line) => Buffer.from(`${line}\n`));
  writeFileDurably(path, lines, fs);
  return lines.reduce((sum, { length }) => sum + length, 0);
}

function isBefore(line: string, startStep: number): boolean {
  try {
    const { type, step } = JSON.parse(line) as { type?: string; step?: number };
    // a run that begins evaluates step 0 again
    return type !== 'done' && (step === undefined || (startStep > 0 && step <= startStep));
  } catch {
    return false;
  }
}

interface LogFailure {
  readonly reason: string;
  readonly verb: 'append to' | 'read';
  readonly state: string;
}

const logFailure = (path: string, { reason, verb, state }: LogFailure): string =>
  errorMessage({
    where: 'events',
    problem: `Cannot ${verb} ${path}: ${reason}.`,
    nextStep: `${state}. Make room on its disk, or make it writable: checkpoints need that too.`,
  });

const closingMessage = (path: string, reason: string, missingCount: number): string =>
  missingCount === 0
    ? `${path} is whole again: every event that had waited was written`
    : logFailure(path, {
        reason,
        verb: 'append to',
        state: `${missingCount} events of this process are not in it`,
      });

/** The system's own words for an error. */
const systemMessage = (error: unknown): string =>
  (((error as Error).cause as Error | undefined) ?? (error as Error)).message;
