import {
  abortSignal,
  anyValue,
  assertArgument,
  checkOptions,
  numberWithin,
  objectWith,
  oneOf,
  FLOAT_DTYPES,
  orNull,
  QdyloraError,
  rowsOf,
  shownValue,
  someFunction,
  trueOrFalse,
  type ArrayView,
  type Memory,
  type OptionRules,
} from '@qdylora/contract';
import { oneProcess, type Communicator } from '@qdylora/collectives';
import type { TokenBatch } from '@qdylora/data';
import { trainedRows } from '@qdylora/lora-dynamic';
import { assertRankView } from '@qdylora/tensor';
import { clearArrays, type AccumulateOptions } from './accumulate-gradients.ts';
import { clipCoefficient, DEFAULT_MAX_GRAD_NORM, globalNorm, sumSquares } from './clip-by-global-norm.ts';
import type { TrainingView } from './loss-model.ts';
import type { Preconditioner } from '../preconditioner/prefix-preconditioner.ts';
import type { Pass } from './run-pass.ts';
import type { GradientSum } from '../sharing/gradient-sum.ts';
import type { WorkerRanks } from '../sharing/limited-ranks.ts';
import { countedPasses } from '../sharing/passes-of-worker.ts';
import { shareAccumulation } from '../sharing/share-accumulation.ts';
import { gradientArrays, type Optimizer, type RowRange } from '../optimizers/optimizer.ts';

/**
 * Options of `trainStep` and `runStep`: the rate and the clipping of the update, and how passes are shared.
 */
export interface StepOptions extends AccumulateOptions {
  /** The optimizer's `learningRate` by default. */
  readonly learningRate?: number;
  /** Clips the global gradient norm; 1 by default, null turns clipping off. */
  readonly maxGradNorm?: number | null;
  /** Rows of the adapters that the optimizer may change; null, the default of `runStep`: all. */
  readonly rows?: readonly RowRange[] | null;
  /** Changes the gradients before the update, with the clipping coefficient of the plain ones; null: none. */
  readonly preconditioner?: Preconditioner | null;
  /**
   * The workers that share the passes of the step. All of them call `runStep` with the same passes, and all
   * get the same update, with the same bits for any number of workers. Only the lengths of batches that
   * another worker runs are read. An abort waits for the end of the step, since the other workers wait for
   * this one. Default null: this process runs all passes and computes the same bits.
   */
  readonly workers?: Communicator | null;
  /**
   * How the workers add their gradients. Default null: in an order that depends only on the number of passes,
   * which needs memory for ⌊log2 n⌋ more gradients in steps of n passes. With `librarySum` the last bits
   * depend on the number of workers, and a single process adds each pass to the sum of those before.
   */
  readonly gradientSum?: GradientSum | null;
  /**
   * The largest rank that each worker trains: [workers]. Passes at larger ranks run at this one, and each row
   * gets the mean over the workers that trained it. Needs update rule `prefix`. Default null: all ranks.
   */
  readonly maxRanks?: WorkerRanks | null;
  /**
   * Factor on the loss that keeps small gradients in the range of float16 (`nextLossScale`). The update
   * divides by it again. A power of two changes no bit unless something over- or underflows. 1 by default.
   */
  readonly lossFactor?: number;
  /**
   * Whether this is a wide step (`OptimizerUpdate`), in which rows may have other rates. False by default.
   */
  readonly isWide?: boolean;
  /** Called right before weights and optimizer state change; an earlier error leaves them unchanged. */
  readonly beforeUpdate?: () => void;
}

/**
 * - `updated`: weights have changed;
 * - `non_finite`: the loss, a gradient or the optimizer state is infinite or NaN; nothing has changed;
 * - `no_tokens`: no token is counted, so there is nothing to learn; loss 0, and nothing has changed.
 */
export type StepStatus = 'updated' | 'non_finite' | 'no_tokens';

/** The result of one step: whether weights have changed, and the measurements of its passes. */
export interface StepOutcome {
  readonly status: StepStatus;
  /** The first of the three that is infinite or NaN; null if all are finite. */
  readonly nonFinite: 'loss' | 'gradient' | 'state' | null;
  /**
   * Mean over the counted tokens of the passes, without student passes: their teacher has counted the same
   * tokens. Weights of passes scale the gradient only.
   */
  readonly loss: number;
  /** Global norm of the gradient, before clipping. */
  readonly gradNorm: number;
  /** Tokens that went through the model, over all passes. */
  readonly tokens: number;
  /** Tokens that the loss counts, over all passes. */
  readonly predictedTokens: number;
}

/**
 * One optimizer step at one rank: forward, backward, clip, update. Several batches are accumulated; each
 * counted token weighs the same.
 * The step changes only the rows that the view trains, unless `rows` says otherwise (null: all rows).
 *
 * @throws QdyloraError BAD_ARGUMENT, ABORTED, OUT_OF_MEMORY
 * @example
 * const { loss } = await trainStep(adapted.atRank(8), batches.batchAt(step), optimizer);
 */
export function trainStep(
  view: TrainingView,
  batch: TokenBatch | readonly TokenBatch[],
  optimizer: Optimizer,
  options: StepOptions = {},
): Promise<StepOutcome> {
  const batches = 'ids' in batch ? [batch] : batch;
  const rowsOfView = view.active ? trainedRows(view.active) : null;
  const { rows = rowsOfView, ...others } = options;
  const passes = batches.map((microBatch) => ({ view, batch: microBatch }));
  return runStep(passes, optimizer, { ...others, rows });
}

const OPTIONS: OptionRules<StepOptions> = {
  learningRate: numberWithin({ least: 0 }),
  maxGradNorm: orNull(numberWithin({ above: 0 })),
  rows: orNull(anyValue),
  preconditioner: orNull(objectWith('precondition')),
  workers: orNull(objectWith('allToAll')),
  gradientSum: orNull(objectWith('add')),
  maxRanks: orNull(anyValue),
  lossFactor: numberWithin({ above: 0 }),
  isWide: trueOrFalse,
  beforeUpdate: someFunction,
  computeDtype: oneOf(FLOAT_DTYPES),
  recompute: anyValue,
  offload: orNull(objectWith('keep')),
  dropout: orNull(objectWith()),
  signal: abortSignal,
  recorder: orNull(objectWith()),
  firstIndex: anyValue,
};

/** Optimizers in the middle of a step: a second step would add to the gradients of the first. */
const BUSY = new WeakSet<Optimizer>();

/**
 * One optimizer step over any passes, at any ranks. The weight of a counted token is that of its pass:
 * lossScale = 1 / Σ counted tokens.
 * It waits for the device once: loss, gradient norm and finiteness are read together.
 *
 * @throws QdyloraError BAD_ARGUMENT for wrong options, views or batches, and while the optimizer's previous
 * step has not ended; ABORTED; OUT_OF_MEMORY
 */
export async function runStep(
  passes: readonly Pass[],
  optimizer: Optimizer,
  options: StepOptions = {},
): Promise<StepOutcome> {
  checkOptions('trainStep', options, OPTIONS);
  passes.forEach(assertPass);
  passes.forEach(assertPair);
  assertArgument(
    !BUSY.has(optimizer),
    'trainStep',
    "The optimizer's previous step has not ended yet",
    'Await each step.',
  );
  BUSY.add(optimizer);
  try {
    return await stepOver(passes, optimizer, options);
  } finally {
    BUSY.delete(optimizer);
  }
}

/** @throws QdyloraError BAD_ARGUMENT */
function assertPass({ view, batch, weight = 1 }: Pass): void {
  assertRankView('trainStep', view);
  if (!Number.isInteger(batch.predictedTokens))
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'trainStep',
      problem:
        `\`predictedTokens\` of a batch must be a whole number ` +
        `(got ${shownValue(batch.predictedTokens)})`,
      nextStep: 'Make batches with collate or createBatches.',
    });
  if (!(Number.isFinite(weight) && weight > 0))
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'trainStep',
      problem: `The weight of a pass must be a number greater than 0 (got ${shownValue(weight)})`,
    });
}

/**
 * Refuses a student without a teacher, or with a teacher of other rows.
 *
 * @throws QdyloraError BAD_ARGUMENT
 */
function assertPair({ view, batch, distillation }: Pass, index: number, passes: readonly Pass[]): void {
  if (!distillation) return;
  if (!view.model.vocabularySize)
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'trainStep',
      problem: 'Distillation needs a model that sets `vocabularySize` and supports `softTargets`',
      nextStep: 'Turn distillation off for this model.',
    });
  if (distillation.role === 'teacher') return;
  const before = passes[index - 1];
  // if the pass before it is a student, it has been checked to follow the same teacher
  const isAfterTeacher = before?.distillation?.topK === distillation.topK && before.batch === batch;
  assertArgument(
    isAfterTeacher,
    'trainStep',
    `Pass ${index} learns from a teacher, but the pass before it is not a teacher of the same batch`,
    'Make the passes with passesOfStep.',
  );
}

async function stepOver(
  passes: readonly Pass[],
  optimizer: Optimizer,
  options: StepOptions,
): Promise<StepOutcome> {
  const {
    learningRate = optimizer.learningRate,
    maxGradNorm = DEFAULT_MAX_GRAD_NORM,
    rows = null,
    preconditioner,
    workers,
    gradientSum = null,
    maxRanks = null,
    lossFactor = 1,
    isWide = false,
    beforeUpdate,
  } = options;
  const counted = countedPasses(passes);
  const tokens = counted.reduce((sum, { batch }) => sum + batch.ids.length, 0);
  const predictedTokens = counted.reduce((sum, { batch }) => sum + batch.predictedTokens, 0);
  if (predictedTokens === 0)
    return { status: 'no_tokens', nonFinite: null, loss: 0, gradNorm: 0, tokens, predictedTokens };
  const { model } = counted[0].view;
  optimizer.prepare(model.backend);
  const gradients = gradientArrays(optimizer);
  clearArrays(model.backend, gradients);
  const lossScale = lossFactor / predictedTokens;
  const shared = { passes: counted, lossScale, lossFactor, optimizer, gradientSum, maxRanks };
  const accumulate = (losses: ArrayView<'f32'>): Promise<void> =>
    workers
      ? shareAccumulation({ ...shared, losses, workers }, { ...options, signal: undefined })
      : shareAccumulation({ ...shared, losses, workers: oneProcess() }, options);
  const watched = { gradients, states: optimizer.resident?.() ?? [] };
  const measurement = await runAndMeasure(counted, watched, accumulate);
  const loss = measurement.loss / lossFactor;
  const gradNorm = measurement.gradNorm / lossFactor;
  const nonFinite = !Number.isFinite(loss)
    ? 'loss'
    : !Number.isFinite(gradNorm)
      ? 'gradient'
      : measurement.hasBadState
        ? 'state'
        : null;
  if (!nonFinite) {
    await preconditioner?.precondition(counted);
    beforeUpdate?.();
    const gradientScale = clipCoefficient(gradNorm, maxGradNorm) / lossFactor;
    optimizer.step({ learningRate, gradientScale, rows, isWide });
  }
  return { status: nonFinite ? 'non_finite' : 'updated', nonFinite, loss, gradNorm, tokens, predictedTokens };
}

interface Measurement {
  readonly loss: number;
  readonly gradNorm: number;
  readonly hasBadState: boolean;
}

/** The arrays that must be finite. */
interface Watched {
  readonly gradients: readonly ArrayView<'f32'>[];
  readonly states: readonly ArrayView<'f32'>[];
}

/**
 * Runs `accumulate`, then reads everything back in one array: the losses: [passes], and the sums of squares
 * of the gradient arrays and of the state arrays.
 */
async function runAndMeasure(
  passes: readonly Pass[],
  { gradients, states }: Watched,
  accumulate: (losses: ArrayView<'f32'>) => Promise<void>,
): Promise<Measurement> {
  const { backend } = passes[0].view.model;
  const { memory } = backend;
  const squared = passes.length + gradients.length;
  const measured = memory.allocate('f32', [squared + states.length]);
  memory.persist(measured);
  try {
    await accumulate(rowsOf(measured, 0, passes.length));
    sumSquares(backend, gradients, rowsOf(measured, passes.length, squared));
    sumSquares(backend, states, rowsOf(measured, squared, squared + states.length));
    const values = await memory.read(measured);
    const loss = reportedLoss(passes, values.subarray(0, passes.length));
    const gradNorm = globalNorm(values.subarray(passes.length, squared));
    const suspects = states.filter((_, i) => !Number.isFinite(values[squared + i]));
    return { loss, gradNorm, hasBadState: await isAnyNonFinite(memory, suspects) };
  } finally {
    memory.release(measured);
  }
}

/**
 * The token mean over all passes but students, times the factor on the loss.
 *
 * @param losses of the passes, each summed over its tokens and divided by the tokens of all passes: [passes]
 */
function reportedLoss(passes: readonly Pass[], losses: Float32Array): number {
  const nonFinite = losses.find((loss) => !Number.isFinite(loss));
  if (nonFinite !== undefined) return nonFinite;
  const isReported = ({ distillation }: Pass): boolean => distillation?.role !== 'student';
  const tokensOf = (some: readonly Pass[]): number =>
    some.reduce((sum, { batch }) => sum + batch.predictedTokens, 0);
  const loss = passes.reduce(
    (sum, pass, i) => sum + (isReported(pass) ? losses[i] / (pass.weight ?? 1) : 0),
    0,
  );
  return (loss * tokensOf(passes)) / tokensOf(passes.filter(isReported));
}

/**
 * A sum of squares may overflow although every number is finite (second moments above 1e19), so each number
 * of a suspect is checked.
 */
async function isAnyNonFinite(memory: Memory, suspects: readonly ArrayView<'f32'>[]): Promise<boolean> {
  for (const view of suspects) if (!(await memory.read(view)).every(Number.isFinite)) return true;
  return false;
}
