import type { DecodeEvent, DecodeRequest } from './decode-request.ts';
import { createDecodeRow, reusableTokens, type DecodeRow } from './decode-row.ts';
import { createEventChannel, type EventChannel } from './event-channel.ts';
import { createKeptPrompts, LEAST_SHARED, sharedTokens, type KeptPrompt } from './kept-prompts.ts';
import type { KvPool } from './kv-pool.ts';
import type { TokenRange } from './token-ranges.ts';

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
  /** Places of the pool that running jobs have. */
  readonly reservedTokens: number;
  /** Tokens of prompts that were taken over from other ones. */
  readonly sharedTokens: number;
  add(job: Job): void;
  /**
   * Forgets jobs that are over and gives their places to waiting ones. A job that begins like a prompt in the
   * pool takes over the keys and values of these tokens; where that prompt is being read, it waits until it
   * is. A job that finds no room waits, and those behind it wait too.
   */
  admit(): void;
}

export interface JobQueueOptions {
  readonly maxRunning: number;
  /** Tokens of prompts in one pass at most. */
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
  const { ranges } = pool;
  const keptPrompts = createKeptPrompts(ranges);
  let running: RunningJob[] = [];
  let waiting: Job[] = [];
  let takenOver = 0;

  function retire({ row: { request, range, promptTokensRead } }: RunningJob): void {
    keptPrompts.keep(request, promptTokensRead, range);
  }

  /** Places for a request. Kept prompts give way, `spared` last; null: there is no room. */
  function reserve(places: number, spared: KeptPrompt | null): TokenRange | null {
    for (;;) {
      const range = ranges.reserve(places);
      if (range || !keptPrompts.evict(spared)) return range;
    }
  }

  /** True where a running job still reads tokens that the request could take over. */
  function isBeingRead(request: DecodeRequest, atHand: number): boolean {
    return running.some(({ row }) => {
      if (row.promptTokensRead === row.request.prompt.length) return false;
      return Math.min(sharedTokens(row.request, request), reusableTokens(request)) >= atHand + LEAST_SHARED;
    });
  }

  /** The range in the pool that begins most like the request, and how many tokens can be taken over. */
  function beginningOf(request: DecodeRequest): Beginning {
    const kept = keptPrompts.longestOf(request);
    const candidates: Beginning[] = running.map(({ row: { request: other, range, promptTokensRead } }) => ({
      kept: null,
      range,
      tokens: Math.min(sharedTokens(other, request), promptTokensRead),
    }));
    if (kept) candidates.push({ kept, range: kept.range, tokens: sharedTokens(kept, request) });
    const best = candidates.reduce((most, each) => (each.tokens > most.tokens ? each : most), NOTHING);
    const tokens = Math.min(best.tokens, reusableTokens(request));
    return tokens < LEAST_SHARED ? NOTHING : { ...best, tokens };
  }

  /** False where there is no room. */
  function start(job: Job, beginning: Beginning): boolean {
    const { request, events } = job;
    let { range: source, tokens } = beginning;
    let range = reserve(request.places, beginning.kept);
    if (!range && beginning.kept) {
      range = reserve(request.places, null);
      ({ range: source, tokens } = NOTHING);
    }
    if (!range) return false;
    if (source) pool.copyTokens(source, range, tokens);
    takenOver += tokens;
    running.push({ job, row: createDecodeRow(request, { range, events, passTokens, filled: tokens }) });
    return true;
  }

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
    get reservedTokens() {
      return ranges.capacity - ranges.freeTokens - keptPrompts.tokens;
    },
    get sharedTokens() {
      return takenOver;
    },
    add(job) {
      waiting.push(job);
    },
    admit() {
      for (const each of running) if (each.job.isOver) retire(each);
      running = running.filter(({ job }) => !job.isOver);
      const candidates = waiting.filter(({ isOver }) => !isOver);
      waiting = [];
      while (candidates.length > 0 && running.length < maxRunning) {
        const job = candidates.shift()!;
        const beginning = beginningOf(job.request);
        if (isBeingRead(job.request, beginning.tokens)) {
          waiting.push(job);
        } else if (!start(job, beginning)) {
          waiting.push(job);
          break;
        }
      }
      waiting.push(...candidates);
    },
  };
}

/** Tokens in the pool with which a request begins. */
interface Beginning {
  /** The kept prompt that has them; null: a running request has them. */
  readonly kept: KeptPrompt | null;
  readonly range: TokenRange | null;
  readonly tokens: number;
}

const NOTHING: Beginning = { kept: null, range: null, tokens: 0 };

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
