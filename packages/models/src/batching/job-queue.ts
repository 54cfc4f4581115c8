import type { DecodeEvent, DecodeRequest } from './decode-request.ts';
import { createDecodeRow, PROMPT_PIECE, type DecodeRow } from './decode-row.ts';
import { createEventChannel, type EventChannel } from './event-channel.ts';
import type { TokenRanges } from './token-ranges.ts';

/** A request with its reader. */
export interface Job {
  readonly request: DecodeRequest;
  readonly events: EventChannel<DecodeEvent>;
  readonly isOver: boolean;
  /** Ends the events, with an error if there is one; its place is free after the current pass. */
  end(error?: unknown): void;
}

/** A job that has its place in the pool. */
export interface RunningJob {
  readonly job: Job;
  readonly row: DecodeRow;
}

/** Jobs in the order in which they came: those with a place, and those that wait for one. */
export interface JobQueue {
  readonly running: readonly RunningJob[];
  readonly waiting: readonly Job[];
  /** True where a new job would run with the next pass. */
  readonly hasPlace: boolean;
  add(job: Job): void;
  /**
   * Forgets jobs that are over and gives their places to waiting ones. The first one waits until the pool has
   * room for it, and those behind it wait too.
   */
  admit(): void;
}

export function createJob(request: DecodeRequest): Job {
  const { signal } = request;
  let isOver = false;
  const onAbort = (): void => end(signal!.reason);
  const end = (error?: unknown): void => {
    if (isOver) return;
    isOver = true;
    signal?.removeEventListener('abort', onAbort);
    events.close(error);
  };
  const events = createEventChannel<DecodeEvent>(end);
  signal?.addEventListener('abort', onAbort);
  return {
    request,
    events,
    end,
    get isOver() {
      return isOver;
    },
  };
}

export function createJobQueue(ranges: TokenRanges, maxRunning: number): JobQueue {
  let running: RunningJob[] = [];
  let waiting: Job[] = [];
  return {
    get running() {
      return running;
    },
    get waiting() {
      return waiting;
    },
    get hasPlace() {
      return running.length < maxRunning && waiting.length === 0;
    },
    add(job) {
      waiting.push(job);
    },
    admit() {
      for (const { job, row } of running) if (job.isOver) ranges.release(row.range);
      running = running.filter(({ job }) => !job.isOver);
      waiting = waiting.filter(({ isOver }) => !isOver);
      while (waiting.length > 0 && running.length < maxRunning) {
        const { request, events } = waiting[0];
        const range = ranges.reserve(request.places);
        if (!range) return;
        running.push({ job: waiting.shift()!, row: createDecodeRow(request, range, events) });
      }
    },
  };
}

/**
 * The jobs of the next pass, in the order of their ranges: all that write, and those that read their prompts,
 * as far as these fit one pass together.
 */
export function jobsOfPass(jobs: readonly RunningJob[]): RunningJob[] {
  let promptTokens = 0;
  return jobs
    .filter(({ row: { nextPromptTokens } }) => {
      if (nextPromptTokens === 0) return true;
      const fits = promptTokens === 0 || promptTokens + nextPromptTokens <= PROMPT_PIECE;
      if (fits) promptTokens += nextPromptTokens;
      return fits;
    })
    .sort((a, b) => a.row.range.start - b.row.range.start);
}
