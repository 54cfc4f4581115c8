import {
  abortSignal,
  anyValue,
  assertArgument,
  assertContractVersion,
  checkOptions,
  numberWithin,
  objectWith,
  oneOf,
  FLOAT_DTYPES,
  orNull,
  required,
  shownValue,
  someFunction,
  someText,
  trueOrFalse,
  type Backend,
  type OptionRules,
} from '@qdylora/contract';
import type { Communicator } from '@qdylora/collectives';
import type { SharedBatches, StepShare, TokenBatch } from '@qdylora/data';
import type { Adapted, LevelSampler, RankSampler } from '@qdylora/lora-dynamic';
import type { ComputeDtype, InputOffload, Recompute } from '@qdylora/tensor';
import type { ResumeFrom, SaveOptions } from '../checkpoints/open-keeper.ts';
import { checkEarlyStopping, type EarlyStoppingOptions } from './early-stopping.ts';
import type { LearningRateSchedule } from '../learning-rate/learning-rate-schedule.ts';
import type { Preconditioner } from '../preconditioner/prefix-preconditioner.ts';
import type { GradientSum } from '../sharing/gradient-sum.ts';
import type { WorkerRanks } from '../sharing/limited-ranks.ts';
import type { LossModel } from '../step/loss-model.ts';
import { checkLossScaling, type LossScaling } from '../step/loss-scale.ts';
import type { Optimizer } from '../optimizers/optimizer.ts';
import { isAdapted } from '../step/passes-of-step.ts';
import type { CheckpointEvent, EvalEvent, PlanEvent, RankLoss, StepEvent } from './train-events.ts';

/** The data of a run, by optimizer step; `createBatches` of @qdylora/data returns it. */
export interface StepBatches {
  readonly stepsPerEpoch: number;
  /** Micro batches of optimizer step `step` (from 0): a pure function of it. */
  batchAt(step: number): readonly TokenBatch[];
  /** `batchAt` for one of several workers. Without it each worker reads all rows of a step. */
  shareAt?(step: number, share: StepShare): Promise<SharedBatches>;
  epochAt(step: number): number;
}

/** Options of the evaluations within a run: how often they are, and the function that measures the model. */
export interface EvaluateOptions {
  /** Steps between two evaluations; the last step is always evaluated. */
  readonly every: number;
  /** Also evaluate before the first step: the baseline of a run that starts from an adapter. */
  readonly beforeFirstStep?: boolean;
  /**
   * Identifies the evaluated rows and ranks. If a resumed run has another value, earlier scores are dropped.
   */
  readonly measures?: string;
  /**
   * Evaluates the model. The lowest `score` is the best one; by default it is the mean of the losses.
   * `aurac`: area under the rank curve. It should throw when `signal` fires.
   */
  run(at: { readonly step: number; readonly signal: AbortSignal | undefined }): Promise<{
    readonly byRank: readonly RankLoss[];
    readonly score?: number;
    readonly aurac?: number | null;
  }>;
}

/** `'stop'` makes the newest step the last one; it is evaluated and saved as any last step. */
export type CallbackResult = 'stop' | void | Promise<'stop' | void>;

/**
 * The run waits for each callback, so the next step sees the changes of a callback (a learning rate, a file).
 * An error that a callback throws ends the run with that error. Readers of the events (`for await`) do not
 * hold the run back.
 */
export interface TrainCallbacks {
  readonly onStep?: (event: StepEvent) => CallbackResult;
  readonly onEvaluate?: (event: EvalEvent) => CallbackResult;
  /** Called once a checkpoint or a new best adapter is durable. */
  readonly onSave?: (event: CheckpointEvent) => CallbackResult;
}

/** Options of `train`: the model, its data, its optimizer and schedule, and the parts that a run may add. */
export interface TrainOptions extends TrainCallbacks {
  /**
   * The parameters of `optimizer` are trained: the adapters of an adapted model, the weights of a bare one.
   */
  readonly model: Adapted<LossModel> | LossModel;
  readonly batches: StepBatches;
  /** Draws the ranks of each step. null: always the largest rank, as in ordinary LoRA. */
  readonly sampler: RankSampler | null;
  /** Chooses the quantization level of each step; null by default: the level that the model has. */
  readonly levels?: LevelSampler | null;
  readonly optimizer: Optimizer;
  /**
   * A checkpoint folder of another run whose optimizer moments a new run starts with. If the saved parameters
   * have more rows (a larger rank), the first rows are used. A resumed run ignores it. Default null: moments
   * start at 0.
   */
  readonly optimizerState?: string | null;
  readonly schedule: LearningRateSchedule;
  readonly totalSteps: number;
  /**
   * Number of steps at the start that train the largest rank alone. After them the rows of the adapter are
   * sorted by their share of BᵀA (`sortAdapterRows`), and the sampler draws the ranks. 0 by default.
   */
  readonly wideSteps?: number;
  /** 1 by default; null: no clipping. */
  readonly maxGradNorm?: number | null;
  /** Changes the gradients of each step before the update; null by default. */
  readonly preconditioner?: Preconditioner | null;
  /**
   * Scales the loss so that small gradients stay within the range of float16; {}: the defaults of torch. A
   * step whose gradient overflows is skipped, and the next one has a smaller scale. null by default: none.
   */
  readonly lossScaling?: LossScaling | null;
  /** Seed of the dropout masks; 0 by default. */
  readonly seed?: number;
  /** `f32` by default. */
  readonly computeDtype?: ComputeDtype;
  /** Which blocks recompute their activations in the backward pass: less memory, more time, the same bits. */
  readonly recompute?: Recompute;
  /** Where the inputs of recomputed blocks are kept until backward; null by default: on the device. */
  readonly offload?: InputOffload | null;
  /** False: never replay a pass (`PassRecorder`). True by default. The bits are the same. */
  readonly recordsPasses?: boolean;
  readonly evaluate?: EvaluateOptions;
  /** Called with the folder locked, before the plan event and the first step. An error ends the run there. */
  readonly onPlan?: (event: PlanEvent) => void | Promise<void>;
  /** Needs `evaluate`. */
  readonly earlyStopping?: EarlyStoppingOptions;
  readonly save?: SaveOptions;
  /**
   * The workers that share the passes of each step (see `StepOptions`); null by default. All of them call
   * `train` with the same options. The first one saves; a resumed run starts on all of them from its
   * checkpoint. An abort of one worker ends the run on all of them after the step.
   */
  readonly workers?: Communicator | null;
  /** See `StepOptions`. */
  readonly gradientSum?: GradientSum | null;
  /** See `StepOptions`. Every worker still has, evaluates and sorts all rows. */
  readonly maxRanks?: WorkerRanks | null;
  /** null by default. Needs `save`. */
  readonly resume?: ResumeFrom;
  /** Number of non-finite steps in a row (loss, gradient or state) that ends the run; 10 by default. */
  readonly maxBadSteps?: number;
  /**
   * An abort ends the pass before its next op; the last whole step is saved, and `result` rejects with
   * ABORTED.
   */
  readonly signal?: AbortSignal;
  /** Seconds since an arbitrary moment; the monotonic clock by default. */
  readonly clock?: () => number;
}

export interface ResolvedTrainOptions extends TrainOptions {
  readonly backend: Backend;
  readonly wideSteps: number;
  readonly seed: number;
  readonly maxBadSteps: number;
  readonly resume: ResumeFrom;
  readonly clock: () => number;
}

/** Default of `maxBadSteps`. */
export const DEFAULT_BAD_STEPS = 10;

/** `resolveTrainOptions` checks the numbers that have a name in the config. */
const OPTIONS: OptionRules<TrainOptions> = {
  model: required(objectWith()),
  batches: required(objectWith('batchAt', 'epochAt')),
  sampler: required(orNull(objectWith('rankAt', 'ranksOfPart', 'segmentsOf', 'lossWeightOf'))),
  levels: orNull(objectWith('levelAt')),
  optimizer: required(objectWith('prepare', 'step')),
  optimizerState: orNull(someText),
  schedule: required(objectWith('at')),
  totalSteps: required(anyValue),
  wideSteps: anyValue,
  maxGradNorm: orNull(numberWithin({ above: 0 })),
  preconditioner: orNull(objectWith('precondition')),
  lossScaling: orNull(objectWith()),
  seed: anyValue,
  computeDtype: oneOf(FLOAT_DTYPES),
  recompute: anyValue,
  offload: orNull(objectWith('keep')),
  recordsPasses: trueOrFalse,
  evaluate: objectWith('run'),
  onPlan: someFunction,
  earlyStopping: objectWith(),
  save: objectWith(),
  workers: orNull(objectWith('allToAll')),
  gradientSum: orNull(objectWith('add')),
  maxRanks: orNull(anyValue),
  resume: orNull(someText),
  maxBadSteps: anyValue,
  signal: abortSignal,
  clock: someFunction,
  onStep: someFunction,
  onEvaluate: someFunction,
  onSave: someFunction,
};
const EVALUATE: OptionRules<EvaluateOptions> = {
  every: required(anyValue),
  beforeFirstStep: trueOrFalse,
  measures: someText,
  run: required(someFunction),
};
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
  absentConfig: objectWith(),
  write: someFunction,
  writeBest: someFunction,
  otherBytes: numberWithin({ least: 0 }),
  waitForRoomSeconds: numberWithin({ least: 0 }),
  fs: objectWith(),
};

/**
 * Checks the options and fills in the defaults. @throws QdyloraError BAD_ARGUMENT naming the bad option;
 * UNSUPPORTED for a backend of another contract version
 */
export function resolveTrainOptions(options: TrainOptions): ResolvedTrainOptions {
  checkOptions('train', options, OPTIONS);
  if (options.evaluate) checkOptions('train, evaluate', options.evaluate, EVALUATE);
  if (options.earlyStopping) checkOptions('train, earlyStopping', options.earlyStopping, EARLY_STOPPING);
  if (options.lossScaling) checkLossScaling(options.lossScaling);
  if (options.save) checkOptions('train, save', options.save, SAVE);
  if (options.save?.config) assertJson(options.save.config);
  const {
    model,
    totalSteps,
    evaluate,
    save,
    wideSteps = 0,
    seed = 0,
    maxBadSteps = DEFAULT_BAD_STEPS,
    resume = null,
    clock = () => performance.now() / 1000,
  } = options;
  const whole = (name: string, value: number, least: number): void =>
    assertArgument(
      Number.isSafeInteger(value) && value >= least,
      name,
      `\`${name}\` must be a whole number of at least ${least} (got ${shownValue(value)})`,
    );
  whole('max_steps', totalSteps, 0);
  whole('seed', seed, 0);
  whole('max_bad_steps', maxBadSteps, 1);
  if (evaluate) whole('eval_steps', evaluate.every, 1);
  if (save?.every !== undefined && save.every !== null) whole('save_steps', save.every, 1);
  whole('wideSteps', wideSteps, 0);
  if (options.earlyStopping) checkEarlyStopping(options.earlyStopping);
  assertArgument(
    !options.earlyStopping || evaluate,
    'early_stopping',
    'There are no evaluations to watch',
    'Pass `evaluate` too.',
  );
  assertLevelsFit(options);
  assertWorkerRanksFit(options);
  assertWideStepsFit(options);
  assertArgument(
    resume === null || save,
    'resume_from_checkpoint',
    'There is no output folder to resume in',
    'Pass `save` too.',
  );
  const { backend } = isAdapted(model) ? model.model : model;
  assertContractVersion('train', backend);
  return {
    ...options,
    backend,
    wideSteps,
    seed,
    maxBadSteps,
    resume,
    clock,
  };
}

/**
 * @throws QdyloraError BAD_ARGUMENT for levels that the model does not have, for feedback without
 * evaluations, and for distilled levels without distillation
 */
function assertLevelsFit({ model, levels, evaluate, sampler }: TrainOptions): void {
  if (!levels) return;
  const modelLevels = isAdapted(model) ? model.levels : [];
  assertArgument(
    levels.levels.every((level) => modelLevels.includes(level)),
    'quantization_levels',
    `The levels ${levels.levels.join(', ')} must be levels of the model (it has ` +
      `${modelLevels.join(', ') || 'none'})`,
    "Build the model with them: quantization: { kind: 'nf4', levels: [3, 4, 8] }.",
  );
  assertArgument(
    levels.schedule !== 'feedback' || evaluate,
    'level_schedule',
    'The schedule feedback follows the held-out loss, and nothing is evaluated',
    'Pass `evaluate` too.',
  );
  assertArgument(
    levels.schedule !== 'distilled' || sampler?.distillation,
    'level_schedule',
    'The schedule distilled trains other levels in the passes that distil, and there are none',
    'Pass a sampler with `distillation`, or choose the schedule sampled.',
  );
}

/** @throws QdyloraError BAD_ARGUMENT for wide steps that do not train all rows of an adapter */
function assertWideStepsFit({ model, wideSteps = 0, maxRanks }: TrainOptions): void {
  if (wideSteps === 0) return;
  const where = 'train, wideSteps';
  assertArgument(isAdapted(model), where, 'There are no adapters whose rows could be sorted');
  const { config, ranks } = model;
  assertArgument(
    config.updateRule === 'prefix',
    where,
    `Rows are sorted after steps that train all of them, but the update rule is ${config.updateRule}`,
    'Attach the adapter with updateRule: prefix.',
  );
  assertArgument(
    !maxRanks || Math.max(...maxRanks) >= ranks.maxRank,
    where,
    `Rows are sorted after steps that train all of them, but no worker trains rank ${ranks.maxRank}`,
    'Let one worker train the largest rank.',
  );
}

/**
 * @throws QdyloraError BAD_ARGUMENT unless each worker has a rank of an adapter that is trained by prefixes
 */
function assertWorkerRanksFit({ model, workers, maxRanks, preconditioner }: TrainOptions): void {
  if (!maxRanks) return;
  const size = workers?.size ?? 1;
  const where = 'max_rank_by_worker';
  assertArgument(
    maxRanks.length === size,
    where,
    `There must be one rank for each worker (got ${maxRanks.length} for ${size})`,
    'Start as many processes as there are ranks.',
  );
  assertArgument(
    isAdapted(model) && model.config.updateRule === 'prefix' && !preconditioner,
    where,
    'Ranks by worker need an adapter with update rule prefix, and no preconditioner',
  );
  const { maxRank } = model.ranks;
  for (const rank of maxRanks)
    assertArgument(
      Number.isInteger(rank) && rank >= 1 && rank <= maxRank,
      where,
      `The rank of a worker must be a whole number from 1 to ${maxRank} (got ${shownValue(rank)})`,
    );
}

/** Maximum nesting depth of a config; deeper nesting is assumed to be a cycle. */
const MAX_DEPTH = 50;

/**
 * Refuses a value that `state.json` cannot represent unchanged, before the first step.
 *
 * @throws QdyloraError BAD_ARGUMENT
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
    depth < MAX_DEPTH &&
    (Array.isArray(value) ||
      [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null));
  assertArgument(
    isPlain,
    'train, save',
    depth < MAX_DEPTH
      ? `\`${path.slice(0, 80)}\` must be a value that JSON has (got ${shownValue(value)})`
      : `\`${path.slice(0, 80)}…\` is nested too deeply; does it contain itself?`,
    'A resumed run compares it: write it as text or as finite numbers.',
  );
  for (const [name, part] of Object.entries(value as object)) assertJson(part, `${path}.${name}`, depth + 1);
}
