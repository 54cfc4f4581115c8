import {
  abortSignal,
  anyValue,
  assertArgument,
  checkOptions,
  numberWithin,
  objectWith,
  oneOf,
  orNull,
  required,
  shownValue,
  someFunction,
  someText,
  type Backend,
  type OptionRules,
} from '@qdylora/contract';
import type { TokenBatch } from '@qdylora/data';
import type { Adapted, RankSampler } from '@qdylora/lora-dynamic';
import type { ComputeDtype, Recompute } from '@qdylora/tensor';
import type { ResumeFrom, SaveOptions } from '../checkpoint-keeper.ts';
import { checkEarlyStopping, type EarlyStoppingOptions } from './early-stopping.ts';
import type { LearningRateSchedule } from '../learning-rate/schedule.ts';
import type { LossModel } from '../loss-model.ts';
import type { Optimizer } from '../optimizers/optimizer.ts';
import { isAdapted } from '../passes-of-step.ts';
import type { CheckpointEvent, EvalEvent, PlanEvent, RankLoss, StepEvent } from './train-events.ts';

/** The data of a run as optimizer steps; @qdylora/data's `createBatches` makes them. */
export interface StepBatches {
  readonly stepsPerEpoch: number;
  /** Micro batches of optimizer step `step` (from 0): a pure function of it. */
  batchAt(step: number): readonly TokenBatch[];
  epochAt(step: number): number;
}

export interface EvaluateOptions {
  /** Steps between two evaluations; there is always one after the last step. */
  readonly every: number;
  /**
   * `score` (lower is better) decides what is best; by default the mean of the losses. `aurac`: area under
   * the rank curve. Throws when `signal` fires.
   */
  run(at: { readonly step: number; readonly signal: AbortSignal | undefined }): Promise<{
    readonly byRank: readonly RankLoss[];
    readonly score?: number;
    readonly aurac?: number | null;
  }>;
}

/**
 * What a callback says: `'stop'` makes the step that was just done the last one; it is evaluated and saved as
 * a last step is.
 */
export type CallbackResult = 'stop' | void | Promise<'stop' | void>;

/**
 * Called in the run's own order, each waited for before the run goes on: what a callback changes (a learning
 * rate, a file) the next step sees.
 * An error that one throws ends the run with that error. Reading the events by `for await` is the other way,
 * and goes its own pace.
 */
export interface TrainCallbacks {
  readonly onStep?: (event: StepEvent) => CallbackResult;
  readonly onEvaluate?: (event: EvalEvent) => CallbackResult;
  /** After a checkpoint is durable, and after a new best adapter is. */
  readonly onSave?: (event: CheckpointEvent) => CallbackResult;
}

export interface TrainOptions extends TrainCallbacks {
  /**
   * An adapted model trains its adapters, a bare one its own weights (`method: none`). What is trained is
   * what the optimizer was given.
   */
  readonly model: Adapted<LossModel> | LossModel;
  readonly batches: StepBatches;
  /** null: always the largest rank, as ordinary LoRA does. */
  readonly sampler: RankSampler | null;
  readonly optimizer: Optimizer;
  readonly schedule: LearningRateSchedule;
  readonly totalSteps: number;
  /** 1 by default; null: no clipping. */
  readonly maxGradNorm?: number | null;
  /** Dropout masks derive from it; 0 by default. */
  readonly seed?: number;
  /** `f32` by default. */
  readonly computeDtype?: ComputeDtype;
  /**
   * Gradient checkpointing, of every block or of some: less memory, up to one more forward pass; the same
   * bits.
   */
  readonly recompute?: Recompute;
  readonly evaluate?: EvaluateOptions;
  /**
   * Waited for before the event is told and the first step is done, in a folder that is the run's by now: an
   * error here ends the run before it has learned anything.
   */
  readonly onPlan?: (event: PlanEvent) => void | Promise<void>;
  /** Needs `evaluate`. */
  readonly earlyStopping?: EarlyStoppingOptions;
  readonly save?: SaveOptions;
  /** null by default. Needs `save`. */
  readonly resume?: ResumeFrom;
  /** Skipped steps in a row after which the run gives up; 10 by default. */
  readonly maxBadSteps?: number;
  /**
   * On an abort the pass ends before its next op, the last whole step is saved, and `result` rejects with
   * code ABORTED.
   */
  readonly signal?: AbortSignal;
  /** Seconds since some moment. */
  readonly clock?: () => number;
}

export interface ResolvedTrainOptions extends TrainOptions {
  readonly backend: Backend;
  readonly seed: number;
  readonly maxBadSteps: number;
  readonly resume: ResumeFrom;
  readonly clock: () => number;
}

/** Numbers that have a name in the config are looked at below. */
const OPTIONS: OptionRules<TrainOptions> = {
  model: required(objectWith()),
  batches: required(objectWith('batchAt', 'epochAt')),
  sampler: required(orNull(objectWith('ranksOfPart', 'segmentsOf'))),
  optimizer: required(objectWith('prepare', 'step')),
  schedule: required(objectWith('at')),
  totalSteps: required(anyValue),
  maxGradNorm: orNull(numberWithin({ above: 0 })),
  seed: anyValue,
  computeDtype: oneOf(['f32', 'bf16']),
  recompute: anyValue,
  evaluate: objectWith('run'),
  onPlan: someFunction,
  earlyStopping: objectWith(),
  save: objectWith(),
  resume: orNull(someText),
  maxBadSteps: anyValue,
  signal: abortSignal,
  clock: someFunction,
  onStep: someFunction,
  onEvaluate: someFunction,
  onSave: someFunction,
};
const EVALUATE: OptionRules<EvaluateOptions> = { every: required(anyValue), run: required(someFunction) };
const EARLY_STOPPING: OptionRules<EarlyStoppingOptions> = {
  on: required(anyValue),
  patience: anyValue,
  minDelta: anyValue,
};
const SAVE: OptionRules<SaveOptions> = {
  folder: required(someText),
  every: orNull(anyValue),
  totalLimit: anyValue,
  config: objectWith(),
  write: someFunction,
  writeBest: someFunction,
  otherBytes: numberWithin({ least: 0 }),
  waitForRoomSeconds: numberWithin({ least: 0 }),
  fs: objectWith(),
};

/** Fills in the defaults.  @throws QdyloraError BAD_ARGUMENT naming the option that does not fit. */
export function resolveTrainOptions(options: TrainOptions): ResolvedTrainOptions {
  checkOptions('train', options, OPTIONS);
  if (options.evaluate) checkOptions('train, evaluate', options.evaluate, EVALUATE);
  if (options.earlyStopping) checkOptions('train, earlyStopping', options.earlyStopping, EARLY_STOPPING);
  if (options.save) checkOptions('train, save', options.save, SAVE);
  if (options.save?.config) assertJson(options.save.config);
  const {
    model,
    totalSteps,
    evaluate,
    save,
    seed = 0,
    maxBadSteps = 10,
    resume = null,
    clock = () => performance.now() / 1000,
  } = options;
  const whole = (name: string, value: number, least: number): void =>
    assertArgument(
      Number.isSafeInteger(value) && value >= least,
      name,
      `expected a whole number ≥ ${least}, got ${shownValue(value)}`,
    );
  whole('max_steps', totalSteps, 0);
  whole('seed', seed, 0);
  whole('max_bad_steps', maxBadSteps, 1);
  if (evaluate) whole('eval_steps', evaluate.every, 1);
  if (save?.every !== undefined && save.every !== null) whole('save_steps', save.every, 1);
  if (options.earlyStopping) checkEarlyStopping(options.earlyStopping);
  assertArgument(
    !options.earlyStopping || evaluate,
    'early_stopping',
    'expected evaluations to watch, got none',
  );
  assertArgument(
    resume === null || save,
    'resume_from_checkpoint',
    'expected an output folder to resume in, got none',
  );
  return {
    ...options,
    backend: isAdapted(model) ? model.model.backend : model.backend,
    seed,
    maxBadSteps,
    resume,
    clock,
  };
}

/** How deep a config may lie in itself: more is a cycle. */
const DEEPEST = 50;

/**
 * What cannot be written into a checkpoint, or would come back as something else, is refused before the first
 * step. @throws QdyloraError BAD_ARGUMENT
 */
function assertJson(value: unknown, path = 'config', depth = 0): void {
  if (
    value === undefined ||
    value === null ||
    typeof value === 'string' ||
    typeof value === 'boolean' ||
    (typeof value === 'number' && Number.isFinite(value))
  )
    return;
  const isPlain =
    typeof value === 'object' &&
    depth < DEEPEST &&
    (Array.isArray(value) ||
      [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null));
  assertArgument(
    isPlain,
    'train, save',
    `expected values that JSON has for config, got ` +
      `${depth < DEEPEST ? shownValue(value) : 'one inside itself'} at ${path.slice(0, 80)}`,
    'A resumed run compares them: write it as text or as finite numbers.',
  );
  for (const [name, part] of Object.entries(value as object)) assertJson(part, `${path}.${name}`, depth + 1);
}
