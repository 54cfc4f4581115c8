import {
  assertArgument,
  badArgument,
  checkOptions,
  FLOAT_DTYPES,
  oneOf,
  QdyloraError,
  required,
  someFunction,
  wholeNumber,
  type OptionRules,
} from '@qdylora/contract';
import { inferenceContext, type ComputeDtype } from '@qdylora/tensor';
import type { CausalLm } from '../decoder/causal-lm.ts';
import {
  decodeRequest,
  type DecodeEvent,
  type DecodeOptions,
  type DecodeRequest,
  type DecodeView,
} from './decode-request.ts';
import { createJob, createJobQueue, jobsOfPass, type JobQueue } from './job-queue.ts';
import { createKvPool } from './kv-pool.ts';
import { createPassRunner, type PassRunner } from './pass-runner.ts';
import { tokensAlike } from './prompt-lookup.ts';

/**
 * Options of `createDecodeEngine`: the size of its pool and of its passes, and how many requests it takes.
 */
export interface DecodeEngineOptions {
  /** Tokens of all requests together whose keys and values are kept. */
  readonly capacityTokens: number;
  /** Requests that are computed together at most; 8 by default. */
  readonly maxRunning?: number;
  /** Requests that wait for a place at most, besides those that run; others are refused. Default: 64. */
  readonly maxWaiting?: number;
  /**
   * Prompt tokens per pass. A pass reads fewer than twice this number, and running requests wait for it. At
   * least 64; 256 by default.
   */
  readonly passTokens?: number;
  /**
   * Tokens of a draft: those that followed the previous occurrence of a request's last two tokens. The pass
   * that computes its next token verifies them (prompt lookup decoding). Default: 0, no drafts. At most 3 are
   * used, fewer where more than 8 heads share a key, and none where answers and drafts would be more than 8
   * tokens of a pass. The answers are the same where the backend's results do not depend on other rows.
   */
  readonly draftTokens?: number;
  /** `f32` by default. */
  readonly computeDtype?: ComputeDtype;
  /** Awaited between two passes, so that other work gets its turn; by default a timer of 0 ms. */
  readonly pause?: () => Promise<void>;
}

/** The load of an engine now, and its totals since it was created. */
export interface EngineUsage {
  /** Requests that are computed now. */
  readonly running: number;
  /** Requests that wait for a place. */
  readonly waiting: number;
  /** Tokens of the pool that the running requests have reserved. */
  readonly reservedTokens: number;
  /** Tokens of the pool. */
  readonly capacityTokens: number;
  /** Prompt tokens computed since the engine was created. */
  readonly promptTokens: number;
  /** Prompt tokens whose keys and values came from another request that begins alike. */
  readonly sharedPromptTokens: number;
  /** Tokens written after prompts. */
  readonly newTokens: number;
  /** Draft tokens verified. */
  readonly draftedTokens: number;
  /** Draft tokens accepted. */
  readonly acceptedTokens: number;
  /** Passes run. */
  readonly passes: number;
}

/**
 * Answers many requests together. Each pass computes the next tokens of all running requests, also of
 * different ranks; when one ends, a waiting one takes its place before the next pass. A prefix that
 * requests at one rank share is computed once, while the pool has room for it.
 */
export interface DecodeEngine {
  /**
   * Begins a request and returns its events. It is cancelled when the reader leaves or the signal fires.
   *
   * @throws QdyloraError BAD_ARGUMENT for wrong options, or more tokens than the engine holds; BUSY where too
   * many requests wait. The events throw the signal's reason, or ABORTED when the engine closes.
   */
  decode(view: DecodeView, prompt: ArrayLike<number>, options?: DecodeOptions): AsyncIterable<DecodeEvent>;
  usage(): EngineUsage;
  /** Ends all requests, waits for the current pass and releases all memory. */
  close(): Promise<void>;
}

const RULES: OptionRules<DecodeEngineOptions> = {
  capacityTokens: required(wholeNumber(1)),
  maxRunning: wholeNumber(1),
  maxWaiting: wholeNumber(),
  passTokens: wholeNumber(64),
  draftTokens: wholeNumber(),
  computeDtype: oneOf(FLOAT_DTYPES),
  pause: someFunction,
};

const timer = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

/**
 * Creates an engine for a model and all adapters around it (views of the same base).
 *
 * A request gets the same tokens alone and beside others where the backend's results do not depend on other
 * rows (`batchInvariant` of the cpu backend, the host backend).
 *
 * Weights must not change while an engine is open: it keeps keys and values of finished prompts, and an 8-bit
 * copy of the head. Create a new engine after training.
 *
 * @throws QdyloraError BAD_ARGUMENT, OUT_OF_MEMORY
 * @example
 * const engine = createDecodeEngine(model, { capacityTokens: 4096 });
 * for await (const event of engine.decode(adapted.atRank(8), tokenizer.encode('Hello')))
 *   if (event.type === 'token') process.stdout.write(tokenizer.decode([event.id]));
 */
export function createDecodeEngine(model: CausalLm, options: DecodeEngineOptions): DecodeEngine {
  checkOptions('decode-engine', options, RULES);
  const { capacityTokens, maxRunning = 8, maxWaiting = 64, passTokens = 256, pause = timer } = options;
  const pool = createKvPool(model.backend, model.config.attention, capacityTokens);
  const queue = createJobQueue(pool, { maxRunning, passTokens });
  const runner = createPassRunner(inferenceContext(model.backend, options.computeDtype), pool);
  const totals: Totals = { promptTokens: 0, newTokens: 0, draftedTokens: 0, acceptedTokens: 0, passes: 0 };
  const maxDraftTokens = Math.min(options.draftTokens ?? 0, tokensAlike(model.config.attention) - 1);
  const passes = createPassLoop(queue, pause, { runner, totals, passTokens, maxDraftTokens });
  let closing: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    endAll(queue, closedError());
    await passes.ended();
    runner[Symbol.dispose]();
    pool[Symbol.dispose]();
  };
  return {
    decode(view, prompt, decodeOptions = {}) {
      if (closing) throw closedError();
      const request = decodeRequest(view, prompt, decodeOptions);
      assertFits(request, model, capacityTokens);
      request.signal?.throwIfAborted();
      if (queue.freePlaces <= -maxWaiting) throw busyError(maxWaiting);
      const job = createJob(request);
      queue.add(job);
      passes.start();
      return job.events;
    },
    usage: () => ({
      running: queue.running.filter(({ job }) => !job.isOver).length,
      waiting: queue.waiting.filter(({ isOver }) => !isOver).length,
      reservedTokens: queue.reservedTokens,
      sharedPromptTokens: queue.sharedTokens,
      capacityTokens,
      ...totals,
    }),
    close() {
      closing ??= close();
      return closing;
    },
  };
}

type Counted = 'promptTokens' | 'newTokens' | 'draftedTokens' | 'acceptedTokens' | 'passes';
type Totals = { -readonly [K in Counted]: number };

/**
 * Tokens of answers and their drafts in a pass at most. Four take 1.2 times as long as one, eight 1.6 times
 * (batch-invariant; SmolLM2-135M, two threads of Emerald Rapids, 2026); a pass with drafts yields 1.75 times
 * the tokens.
 */
const MOST_TOKENS_WITH_DRAFTS = 8;

interface PassWork {
  readonly runner: PassRunner;
  readonly totals: Totals;
  readonly passTokens: number;
  readonly maxDraftTokens: number;
}

interface PassLoop {
  /** Runs passes until no job is running, unless they run already. */
  start(): void;
  /** Resolves when no pass runs. */
  ended(): Promise<void>;
}

/** An error outside of a pass (of `pause`, for example) ends all jobs; the next job starts the loop again. */
function createPassLoop(queue: JobQueue, pause: () => Promise<void>, work: PassWork): PassLoop {
  let isRunning = false;
  let running = Promise.resolve();
  const run = async (): Promise<void> => {
    try {
      for (;;) {
        await pause();
        queue.admit();
        if (queue.running.length === 0) break;
        await runPass(queue, work);
      }
    } catch (error) {
      endAll(queue, error);
    } finally {
      isRunning = false; // at once: a job that comes now starts the next loop
    }
  };
  return {
    start() {
      if (isRunning) return;
      isRunning = true;
      running = run();
    },
    ended: () => running,
  };
}

function endAll({ running, waiting }: JobQueue, error: unknown): void {
  for (const job of [...running.map((each) => each.job), ...waiting]) job.end(error);
}

/** One pass of one model: the next tokens of its running jobs. An error ends these jobs only. */
async function runPass(
  { running }: JobQueue,
  { runner, totals, passTokens, maxDraftTokens }: PassWork,
): Promise<void> {
  const model = runner.nextOf(running.map(({ job }) => job.request.model));
  const jobs = jobsOfPass(
    running.filter(({ job }) => job.request.model === model),
    passTokens,
  );
  try {
    const answers = jobs.filter(({ row }) => row.nextPromptTokens === 0).length;
    const hasDrafts = answers * (1 + maxDraftTokens) <= MOST_TOKENS_WITH_DRAFTS;
    const sequences = jobs.map(({ row }) => row.next(hasDrafts ? maxDraftTokens : 0));
    const results = await runner.run(model, sequences);
    totals.passes++;
    for (const [i, { job, row }] of jobs.entries()) {
      totals.promptTokens += row.nextPromptTokens;
      if (job.isOver) continue;
      const { newTokens, isAnswered } = row.advance(results[i]);
      totals.newTokens += newTokens;
      totals.draftedTokens += Math.max(0, sequences[i].predicted - 1);
      totals.acceptedTokens += Math.max(0, newTokens - 1);
      if (isAnswered) job.end();
    }
  } catch (error) {
    for (const { job } of jobs) job.end(error);
  }
}

function assertFits({ model, places }: DecodeRequest, base: CausalLm, capacityTokens: number): void {
  if (model.config !== base.config || model.backend !== base.backend)
    throw badArgument('decode', 'the view must be of the base that the engine was created for');
  assertArgument(
    places <= capacityTokens,
    'decode',
    `A request of ${places} tokens does not fit the ${capacityTokens} tokens of the engine`,
    'Ask for fewer tokens, or create the engine with a larger capacityTokens.',
  );
}

const busyError = (waiting: number): QdyloraError =>
  new QdyloraError('BUSY', {
    where: 'decode',
    problem: `${waiting} requests wait already`,
    nextStep: 'Try again later, or create the engine with a larger maxWaiting.',
    details: { waiting },
  });

const closedError = (): QdyloraError =>
  new QdyloraError('ABORTED', {
    where: 'decode',
    problem: 'The engine was closed',
    nextStep: 'Create a new engine.',
  });
