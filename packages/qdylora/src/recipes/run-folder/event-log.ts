import { NODE_FILE_SYSTEM, writeFileAt, writeFileDurably, type FileSystem } from '@qdylora/checkpoint';
import { errorMessage } from '@qdylora/contract';
import type { TrainEvent } from '@qdylora/trainer';
import type { LogWarningEvent } from './finetune-events.ts';
import { snakeCased } from './snake-cased.ts';

/**
 * `events.jsonl` of a run: one event a line, each optimizer step once, also after a resume. What it cannot
 * write it keeps and tells; it never ends the run.
 */
export interface EventLog {
  /** Appends an event, and those before it that could not be written. Nothing is thrown. */
  write(event: TrainEvent): void;
  /** The lines of the run so far, those that only memory has included. */
  text(): string;
  /** Tries a last time; where anything had failed, says how many events the file lacks. */
  close(): void;
}

export interface EventLogOptions {
  /**
   * Steps that were done before: later lines of an earlier process, and a line that it left half, are cut
   * off.
   */
  readonly startStep: number;
  /** Told once at the first failure, and once by `close`. */
  readonly warn: (warning: LogWarningEvent) => void;
  /** Node's by default. */
  readonly fs?: FileSystem;
}

/**
 * Characters that wait in memory for a disk that takes nothing: some 4,000 steps. Later events are lost, and
 * counted.
 */
const MOST_WAITING = 2 ** 20;

export function openEventLog(
  path: string,
  { startStep, warn, fs = NODE_FILE_SYSTEM }: EventLogOptions,
): EventLog {
  /**
   * Whole lines in the file; null until those of an earlier process are sorted. A part of a line beyond them
   * is overwritten by the next try, which begins with the same bytes.
   */
  let wholeBytes: number | null = null;
  let waiting = '';
  let waitingCount = 0;
  let lostCount = 0;
  let step = startStep;
  let reason: string | null = null;
  const say = (message: string): void =>
    warn({
      type: 'warning',
      code: 'LOG_NOT_WRITTEN',
      message,
      step,
      path,
      reason: reason!,
      unwrittenEvents: waitingCount + lostCount,
    });
  const fail = (error: unknown, verb: 'append to' | 'read'): void => {
    const isFirst = reason === null;
    reason = (((error as Error).cause as Error | undefined) ?? (error as Error)).message;
    if (isFirst)
      say(
        logFailure(path, {
          reason,
          verb,
          state: 'Training goes on, and what cannot be written waits in memory',
        }),
      );
  };
  const flush = (): void => {
    try {
      wholeBytes ??= keepLines(path, startStep, fs);
      const bytes = Buffer.from(waiting);
      writeFileAt(path, bytes, wholeBytes, fs);
      wholeBytes += bytes.length;
      [waiting, waitingCount] = ['', 0];
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
    text() {
      try {
        return wholeBytes === null
          ? waiting
          : Buffer.from(fs.readFileSync(path, 'utf8')).subarray(0, wholeBytes).toString('utf8') + waiting;
      } catch (error) {
        fail(error, 'read');
        return waiting;
      }
    },
    close() {
      if (waitingCount > 0) flush();
      if (reason === null) return;
      const count = waitingCount + lostCount;
      say(
        count === 0
          ? `${path} is whole again: every event that had waited was written`
          : logFailure(path, {
              reason,
              verb: 'append to',
              state: `${count} events of this process are not in it`,
            }),
      );
    },
  };
}

interface LogFailure {
  readonly reason: string;
  readonly verb: string;
  readonly state: string;
}

const logFailure = (path: string, { reason, verb, state }: LogFailure): string =>
  errorMessage({
    where: 'events',
    problem: `expected to ${verb} ${path}, got ${reason}`,
    nextStep: `${state}. Make room on its disk, or make it writable: checkpoints need that too.`,
  });

/** Leaves what an earlier process logged up to `startStep`.  @returns the bytes of the file then */
function keepLines(path: string, startStep: number, fs: FileSystem): number {
  const kept = fs.existsSync(path)
    ? fs
        .readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => isBefore(line, startStep))
    : [];
  const lines = kept.map((line) => Buffer.from(`${line}\n`));
  writeFileDurably(path, lines, fs);
  return lines.reduce((sum, { length }) => sum + length, 0);
}

function isBefore(line: string, startStep: number): boolean {
  try {
    const { type, step } = JSON.parse(line) as { type?: string; step?: number };
    return type !== 'done' && (step === undefined || step <= startStep);
  } catch {
    return false;
  }
}

/** An event as it stands in the log. */
export function eventJson(event: TrainEvent): unknown {
  if (event.type !== 'step') return snakeCased(event);
  const { totalSteps: _, ...rest } = event; // the plan says it once
  return snakeCased(rest);
}
