import type { DecodeEvent, DecodeRequest } from './decode-request.ts';
import { createDecodeRow, type DecodeRow } from './decode-row.ts';
import { createEventChannel, type EventChannel } from './event-channel.ts';
import type { KvPool } from './kv-pool.ts';
import { createPlaces, type Place } from './places.ts';

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
  /** Places that neither running nor waiting jobs take; below 0: so many jobs have to wait for one. */
  readonly freePlaces: number;
  /** Places of the pool that running jobs have. */
  readonly reservedTokens: number;
  /** Tokens of prompts that were taken over from other ones. */
  readonly sharedTokens: number;
  add(job: Job): void;
  /**
   * Forgets jobs that are over and gives their places to waiting ones. A job reuses the keys and values of
   * the longest prefix in the pool. If a running job still reads that prefix, the new job waits. A job
   * that finds no room waits, and those behind it wait too. A job whose tokens cannot be copied ends with
   * that error.
   */
  admit(): void;
}

export interface JobQueueOptions {
  readonly maxRunning: number;
  /**
   * Tokens of prompts that one pass reads; the last piece of a prompt may have up to twice as many, less
   * one.
   */
  readonly passTokens: number;
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

export function createJobQueue(pool: KvPool, { maxRunning, passTokens }: JobQueueOptions): JobQueue {
  let running: RunningJob[] = [];
  let waiting: Job[] = [];
  const places = createPlaces(pool, () => running.map(({ row }) => row));

  return {
    get running() {
      return running;
    },
    get waiting() {
      return waiting;
    },
    get freePlaces() {
      const jobs = [...running.map(({ job }) => job), ...waiting];
      return maxRunning - jobs.filter(({ isOver }) => !isOver).length;
    },
    get reservedTokens() {
      return places.reservedTokens;
    },
    get sharedTokens() {
      return places.sharedTokens;
    },
    add(job) {
      waiting.push(job);
    },
    admit() {
      for (const { job, row } of running) if (job.isOver) places.giveBack(row);
      running = running.filter(({ job }) => !job.isOver);
      const candidates = waiting.filter(({ isOver }) => !isOver);
      waiting = [];
      while (candidates.length > 0 && running.length < maxRunning) {
        const job = candidates.shift()!;
        const { request, events } = job;
        if (places.isBeingRead(request)) {
          waiting.push(job);
          continue;
        }
        let place: Place | null;
        try {
          place = places.take(request);
        } catch (error) {
          job.end(error);
          continue;
        }
        if (!place) {
          waiting.push(job);
          break;
        }
        running.push({ job, row: createDecodeRow(request, { ...place, events, passTokens }) });
      }
      waiting.push(...candidates);
    },
  };
}

/**
 * The jobs of the next pass, in the order of their ranges: all that write, and those that read their prompts,
 * as far as these fit one pass together.
 */
export function jobsOfPass(jobs: readonly RunningJob[], passTokens: number): RunningJob[] {
  let promptTokens = 0;
  return jobs
    .filter(({ row: { nextPromptTokens } }) => {
      if (nextPromptTokens === 0) return true;
      const fits = promptTokens === 0 || promptTokens + nextPromptTokens <= passTokens;
      if (fits) promptTokens += nextPromptTokens;
      return fits;
    })
    .sort((a, b) => a.row.range.start - b.row.range.start);
}
