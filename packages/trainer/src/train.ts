import { createRng, elementCount, QdyloraError, shownValue, withNextStep, type Rng } from '@qdylora/contract';
import { openKeeper, type CheckpointKeeper } from './checkpoint-keeper.ts';
import { isFullDisk, megabytes } from './disk-room.ts';
import { DEFAULT_PATIENCE, watchEvaluation } from './early-stopping.ts';
import { nextTurn } from './event-loop.ts';
import { eventQueue, type EventQueue } from './event-queue.ts';
import type { LearningRateSchedule } from './learning-rate/schedule.ts';
import { stateNameOf } from './optimizers/create-optimizer.ts';
import { isAdapted, passesOfStep } from './passes-of-step.ts';
import { freshProgress, type RunIdentity, type RunProgress } from './run-state.ts';
import type {
  CheckpointEvent,
  EvalEvent,
  PlanEvent,
  RankLoss,
  StepEvent,
  TrainEvent,
  TrainResult,
  WarningCode,
} from './train-events.ts';
import {
  resolveTrainOptions,
  type CallbackResult,
  type ResolvedTrainOptions,
  type TrainOptions,
} from './train-options.ts';
import { runStep, type StepOutcome } from './train-step.ts';

/**
 * A run that has begun. Nobody has to read its events; each reader gets all of them from when it begins, the
 * first one those of before too (`EventQueue` says what waits for it).
 */
export interface TrainRun extends AsyncIterable<TrainEvent> {
  /** @throws QdyloraError ABORTED, NON_FINITE_LOSS, BUSY_FOLDER, NOT_EMPTY, BAD_RESUME, … */
  readonly result: Promise<TrainResult>;
}

/**
 * Trains in place and tells about it as typed events.
 *
 * The order of one round: evaluate if it is time, save if it is time, then one optimizer step. So a
 * checkpoint holds everything that came before it, and a run that resumes from it computes what the
 * uninterrupted one did, bit for bit.
 *
 * @throws QdyloraError BAD_ARGUMENT for options that do not fit.
 * @example
 * const run = train({ model: adapted, batches, sampler, optimizer, schedule, totalSteps: 200 });
 * for await (const event of run) if (event.type === 'step') console.log(event.step, event.rank, event.loss);
 * const { finalLoss } = await run.result;
 */
export function train(options: TrainOptions): TrainRun {
  const resolved = resolveTrainOptions(options);
  const events = eventQueue<TrainEvent>({ isDroppable: ({ type }) => type === 'step' });
  const result = runAndClose(resolved, events);
  return {
    result,
    [Symbol.asyncIterator]() {
      result.catch(() => {
        /* a reader sees the error where it reads */
      });
      return events[Symbol.asyncIterator]();
    },
  };
}

async function runAndClose(
  options: ResolvedTrainOptions,
  events: EventQueue<TrainEvent>,
): Promise<TrainResult> {
  try {
    const result = await runFolder(options, events);
    events.close();
    return result;
  } catch (error) {
    events.close(error);
    throw error;
  }
}

async function runFolder(
  options: ResolvedTrainOptions,
  events: EventQueue<TrainEvent>,
): Promise<TrainResult> {
  await nextTurn(); // the caller gets the run before it begins
  const keeper = options.save ? openKeeper(options.save) : null;
  try {
    return await runTraining(options, events, keeper);
  } finally {
    keeper?.close();
  }
}

/** What the parts of a round share. */
interface Run {
  readonly options: ResolvedTrainOptions;
  readonly keeper: CheckpointKeeper | null;
  readonly progress: RunProgress;
  readonly identity: RunIdentity;
  readonly dropout: Rng;
  /** Step of the newest checkpoint. */
  savedAt: number;
  /** The disk has been said to be nearly full. */
  isDiskLow: boolean;
  /**
   * Weights and states are those of a whole step and worth a checkpoint: not between the start of an update
   * and its end, nor after the last of too many bad steps.
   */
  isKeepable: boolean;
  /** What the last save has thrown; null where it has not. */
  failedSave: unknown;
  /** What made the newest step the last one. */
  stoppedBy: TrainResult['stoppedBy'];
  emit(event: TrainEvent): void;
  warn(code: WarningCode, message: string): void;
}

async function runTraining(
  options: ResolvedTrainOptions,
  events: EventQueue<TrainEvent>,
  keeper: CheckpointKeeper | null,
): Promise<TrainResult> {
  const { evaluate, save, clock } = options;
  const start = clock();
  const run = await begin(options, events, keeper);
  const { progress } = run;
  const isEvaluationDue = (): boolean =>
    evaluate !== undefined && progress.evaluatedAt < progress.step && isDue(run, evaluate.every);
  try {
    for (;;) {
      throwIfAborted(run);
      if (isEvaluationDue()) await evaluateNow(run);
      if (save && run.savedAt < progress.step && isDue(run, save.every)) await saveNow(run, !isLast(run));
      if (isEvaluationDue()) continue; // a callback of the save has made this step the last one
      if (isLast(run)) break;
      await stepNow(run);
      await nextTurn();
    }
  } catch (error) {
    throw await endedAfterSaving(run, error);
  }
  const { step, finalLoss, tokens, skippedSteps, best } = progress;
  const result: TrainResult = {
    step,
    finalLoss,
    tokens,
    skippedSteps,
    seconds: clock() - start,
    best,
    stoppedBy: run.stoppedBy,
    checkpoint: keeper?.newest ?? null,
  };
  run.emit({ type: 'done', result });
  return result;
}

const isLast = ({ progress: { step }, options: { totalSteps }, stoppedBy }: Run): boolean =>
  step >= totalSteps || stoppedBy !== null;

const isDue = (run: Run, every: number | null | undefined): boolean =>
  isLast(run) || (typeof every === 'number' && run.progress.step % every === 0);

/** Waits for a callback, and does what it says. */
async function heed(run: Run, said: CallbackResult): Promise<void> {
  if ((await said) === 'stop') run.stoppedBy ??= 'callback';
}

/**
 * Prepares the optimizer, goes back to a checkpoint if there is one to resume from, and says what will be
 * done.
 */
async function begin(
  options: ResolvedTrainOptions,
  events: EventQueue<TrainEvent>,
  keeper: CheckpointKeeper | null,
): Promise<Run> {
  const { optimizer, backend, seed, totalSteps, batches, save } = options;
  const identity = { ...save?.config, seed, optimizer: stateNameOf(optimizer.name) };
  assertOwnParameters(options);
  optimizer.prepare(backend);
  const { progress, resumedFrom, warnings } = keeper?.begin(
    { backend, optimizer, identity },
    options.resume,
  ) ?? { progress: freshProgress(), resumedFrom: null, warnings: [] };
  if (progress.step < totalSteps) keeper?.assertRoom({ optimizer });
  const emit = (event: TrainEvent): void => {
    progress.events++;
    events.push(event);
  };
  const warn = (code: WarningCode, message: string): void =>
    emit({ type: 'warning', code, message, step: progress.step });
  const trainableCount = optimizer.parameters.reduce((sum, { view }) => sum + elementCount(view.shape), 0);
  const plan: PlanEvent = {
    type: 'plan',
    totalSteps,
    stepsPerEpoch: batches.stepsPerEpoch,
    startStep: progress.step,
    resumedFrom,
    eventsOffset: progress.events,
    trainableCount,
    optimizerBytes: optimizer.byteLength,
    optimizerPagedBytes: optimizer.ledger().pagedBytes,
  };
  await options.onPlan?.(plan);
  emit(plan);
  for (const { code, message } of warnings)
    // a run that is over computes nothing
    if (code !== 'OTHER_KERNELS' || progress.step < totalSteps) warn(code, message);
  return {
    options,
    keeper,
    progress,
    identity,
    dropout: createRng(seed).named('dropout'),
    savedAt: progress.step,
    isDiskLow: false,
    isKeepable: true,
    failedSave: null,
    stoppedBy: hasWaitedEnough(options, progress) ? 'early_stopping' : null,
    emit,
    warn,
  };
}

/** An optimizer over another model's weights would run to the end and train nothing. */
function assertOwnParameters({ model, optimizer }: ResolvedTrainOptions): void {
  const own = new Set(
    isAdapted(model) ? [...model.parameters(), ...model.model.parameters()] : model.parameters(),
  );
  const stranger = optimizer.parameters.find((parameter) => !own.has(parameter));
  if (!stranger) return;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'train',
    problem: `expected an optimizer over parameters of the model, got ${stranger.name} of another`,
    nextStep: 'Make it from adapted.parameters() of the very adapter that is trained.',
  });
}

/** One optimizer step and what follows from it. */
async function stepNow(run: Run): Promise<void> {
  const { options, progress, dropout } = run;
  const {
    batches,
    model,
    sampler,
    optimizer,
    schedule,
    maxGradNorm,
    computeDtype,
    recompute,
    signal,
    clock,
  } = options;
  const index = progress.step;
  const start = clock();
  const before = optimizer.ledger();
  const learningRate = rateAt(schedule, index);
  const { passes, rows, rank } = passesOfStep(index, batches.batchAt(index), model, sampler);
  const outcome = await runStep(passes, optimizer, {
    learningRate,
    maxGradNorm,
    rows,
    computeDtype,
    recompute,
    signal,
    dropout: { rng: dropout, step: index },
    beforeUpdate: () => {
      run.isKeepable = false;
    },
  });
  run.isKeepable = true;
  const stepSeconds = clock() - start;
  const { loss, gradNorm, tokens } = outcome;
  const { residentBytes, pagedBytes, pageIns, waitSeconds } = optimizer.ledger();
  progress.step++;
  progress.epoch = batches.epochAt(index);
  progress.tokens += tokens;
  const event: StepEvent = {
    type: 'step',
    step: progress.step,
    totalSteps: options.totalSteps,
    epoch: progress.epoch,
    loss,
    rank,
    learningRate,
    gradNorm,
    tokens,
    tokensPerSecond: stepSeconds > 0 ? tokens / stepSeconds : 0,
    stepSeconds,
    residentBytes: process.memoryUsage.rss(),
    optimizerResidentBytes: residentBytes,
    optimizerPagedBytes: pagedBytes,
    pageIns: pageIns - before.pageIns,
    pageWaitSeconds: waitSeconds - before.waitSeconds,
  };
  run.emit(event);
  judgeStep(run, outcome);
  await heed(run, options.onStep?.(event));
}

function rateAt(schedule: LearningRateSchedule, step: number): number {
  const rate = schedule.at(step);
  if (Number.isFinite(rate) && rate >= 0) return rate;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'schedule',
    problem: `expected a rate ≥ 0 at step ${step}, got ${shownValue(rate)}`,
  });
}

/** Counts a skipped step, and gives up after too many in a row. */
function judgeStep(run: Run, { status, nonFinite, loss, gradNorm }: StepOutcome): void {
  const {
    progress,
    warn,
    options: { maxBadSteps },
    keeper,
  } = run;
  if (status === 'updated') {
    progress.finalLoss = loss;
    progress.badInARow = 0;
    return;
  }
  progress.skippedSteps++;
  if (status === 'no_tokens') {
    warn('NO_TOKENS', `step ${progress.step} has no token to learn from and was skipped`);
    if (progress.step < maxBadSteps || progress.skippedSteps < progress.step) return;
    throw new QdyloraError('BAD_DATA', {
      where: 'train',
      problem: `expected tokens to learn from, got ${progress.step} steps without any`,
      nextStep:
        'Look at the rows with `qdylora inspect --dataset`: which tokens count, and whether max_seq_length ' +
        'leaves any.',
    });
  }
  progress.badInARow++;
  const seen =
    nonFinite === 'state'
      ? "the optimizer's state holds no numbers"
      : `loss ${loss}, gradient norm ${gradNorm}`;
  warn('NON_FINITE_LOSS', `step ${progress.step} was skipped: ${seen}`);
  if (progress.badInARow < maxBadSteps) return;
  run.isKeepable = false;
  throw new QdyloraError('NON_FINITE_LOSS', {
    where: 'train',
    problem:
      `expected a finite loss, gradient and optimizer state, got ${progress.badInARow} steps in a ` +
      `row without (step ${progress.step}: ${seen})`,
    nextStep: `${nonFinite === 'state' ? 'Go on from a checkpoint of before.' : 'Use a smaller ' + 'learning_rate or ' + 'max_grad_norm.'}${keeper?.newest ? ` The last good ` + `checkpoint is ` + `${keeper.newest}.` : ''}`,
    details: { step: progress.step, badSteps: progress.badInARow, checkpoint: keeper?.newest ?? null },
  });
}

async function evaluateNow(run: Run): Promise<void> {
  const {
    options: { evaluate, earlyStopping, onEvaluate, signal },
    progress,
    keeper,
    emit,
    warn,
  } = run;
  const { step } = progress;
  const {
    byRank,
    score = mean(byRank.map(({ loss }) => loss)),
    aurac = null,
  } = await evaluate!.run({ step, signal });
  const isBest = score < (progress.best?.score ?? Infinity);
  const event: EvalEvent = { type: 'eval', step, byRank, bestRank: bestOf(byRank), aurac, score, isBest };
  if (earlyStopping) progress.earlyStopping = watchEvaluation(earlyStopping, progress.earlyStopping, event);
  progress.evaluatedAt = step;
  if (isBest) progress.best = { step, score };
  emit(event);
  if (hasWaitedEnough(run.options, progress) && !isLast(run)) run.stoppedBy = 'early_stopping';
  await heed(run, onEvaluate?.(event));
  if (!isBest || !keeper) return;
  let path: string | null;
  try {
    path = await keeper.saveBest();
  } catch (error) {
    return warnOrThrow(error, warn);
  }
  if (path) await tellSaved(run, { type: 'checkpoint', path, step, kind: 'best' });
}

const bestOf = (byRank: readonly RankLoss[]): number | null =>
  byRank.reduce<RankLoss>((best, one) => (one.loss < best.loss ? one : best), { rank: null, loss: Infinity })
    .rank;

const hasWaitedEnough = (
  { earlyStopping }: ResolvedTrainOptions,
  { earlyStopping: state }: RunProgress,
): boolean =>
  earlyStopping !== undefined &&
  state !== null &&
  state.on === earlyStopping.on &&
  state.waited >= (earlyStopping.patience ?? DEFAULT_PATIENCE);

async function tellSaved(run: Run, event: CheckpointEvent): Promise<void> {
  run.emit(event);
  await heed(run, run.options.onSave?.(event));
}

/** `goesOn`: a failed write is a warning, since there will be another checkpoint. */
async function saveNow(run: Run, goesOn: boolean): Promise<void> {
  const {
    keeper,
    options: { backend, optimizer },
    progress,
    identity,
  } = run;
  const save = (): Promise<string> => keeper!.save({ backend, optimizer, progress, identity });
  let path: string;
  try {
    path = await (goesOn ? save() : savedWithPatience(run, save));
  } catch (error) {
    if (goesOn) return warnOrThrow(error, run.warn);
    run.failedSave = error;
    throw error;
  }
  run.savedAt = progress.step;
  if (goesOn) warnOfLowDisk(run);
  await tellSaved(run, { type: 'checkpoint', path, step: progress.step, kind: 'step' });
}

/** Milliseconds before the second try to save on a full disk, and at most. */
const FIRST_WAIT = 250;
const LONGEST_WAIT = 10_000;

/** Tries again while the disk is full, as long as the run may wait: what is in memory only is worth it. */
async function savedWithPatience(
  { options: { save: options, signal, clock }, warn }: Run,
  save: () => Promise<string>,
): Promise<string> {
  const seconds = options?.waitForRoomSeconds ?? 0;
  const until = clock() + seconds;
  for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    try {
      return await save();
    } catch (error) {
      if (!isFullDisk(error) || signal?.aborted || clock() >= until) throw error;
      if (wait === FIRST_WAIT)
        warn(
          'DISK_FULL',
          `${(error as Error).message} The run waits up to ${Math.ceil(seconds / 60)} min for that, since ` +
            `what it learned since then is in memory only; Ctrl-C ends it.`,
        );
    }
    for (let left = wait; left > 0 && !signal?.aborted; left -= FIRST_WAIT)
      await new Promise((resolve) => {
        setTimeout(resolve, FIRST_WAIT);
      });
  }
}

/**
 * Once each time that it becomes so: a run that will find no room for its next checkpoint is told while there
 * is time.
 */
function warnOfLowDisk(run: Run): void {
  const missing = run.keeper!.missingBytes({ optimizer: run.options.optimizer });
  if (missing > 0 && !run.isDiskLow)
    run.warn(
      'DISK_FULL',
      `The disk of ${run.options.save!.folder} has no room for the next checkpoint: free ` +
        `${megabytes(missing)} there.`,
    );
  run.isDiskLow = missing > 0;
}

function warnOrThrow(error: unknown, warn: Run['warn']): void {
  if (!QdyloraError.isInstance(error)) throw error;
  if (error.code === 'WRITE_FAILED') return warn('WRITE_FAILED', error.message);
  if (error.code === 'NON_FINITE') return warn('NON_FINITE_WEIGHTS', error.message);
  throw error;
}

function throwIfAborted({ options: { signal }, progress }: Run): void {
  if (signal?.aborted)
    throw new QdyloraError('ABORTED', {
      where: 'train',
      problem: `expected to go on, got an abort after step ${progress.step}`,
      cause: signal.reason,
    });
}

/**
 * Whatever ends a run early, its last whole step is saved, so nothing that was learnt is lost. @returns what
 * `result` rejects with
 */
async function endedAfterSaving(run: Run, cause: unknown): Promise<unknown> {
  const {
    keeper,
    progress,
    options: { signal },
  } = run;
  const isAborted = signal?.aborted === true;
  if (!isAborted && run.failedSave === cause) return cause;
  let failure: unknown = null;
  if (keeper && run.isKeepable && run.savedAt < progress.step)
    await saveNow(run, false).catch((error: unknown) => {
      failure = error;
    });
  const unsaved =
    failure && run.savedAt < progress.step
      ? `its checkpoint could not be written: ${(failure as Error).message}`
      : null;
  if (!isAborted) return withProgress(run, cause, unsaved);
  return new QdyloraError('ABORTED', {
    where: 'train',
    problem: `the run was aborted after step ${progress.step}${unsaved ? `; ${unsaved}` : ''}`,
    nextStep: keeper ? howToGoOn(keeper) : undefined,
    details: { step: progress.step, checkpoint: keeper?.newest ?? null, failure },
    cause: signal.reason ?? cause,
  });
}

/** An error of ours says what is kept of the run; one of a callback stays the very object that was thrown. */
function withProgress(
  { keeper, progress, savedAt, isKeepable }: Run,
  error: unknown,
  unsaved: string | null,
): unknown {
  if (!QdyloraError.isInstance(error) || !keeper) return error;
  if (unsaved) return withNextStep(error, `The run ended after step ${progress.step}; ${unsaved}`);
  return isKeepable && savedAt === progress.step && keeper.newest
    ? withNextStep(error, `What was learned up to step ${progress.step} is kept. ${howToGoOn(keeper)}`)
    : error;
}

const howToGoOn = ({ newest }: CheckpointKeeper): string =>
  newest
    ? `Go on from ${newest} with resume_from_checkpoint.`
    : 'No checkpoint was written: begin again with resume_from_checkpoint auto, or in another output_dir.';

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
