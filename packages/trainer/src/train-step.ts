import {
  abortSignal,
  anyValue,
  assertArgument,
  checkOptions,
  numberWithin,
  objectWith,
  oneOf,
  orNull,
  QdyloraError,
  rowsOf,
  shownValue,
  someFunction,
  type ArrayView,
  type Memory,
  type OptionRules,
} from '@qdylora/contract';
import type { TokenBatch } from '@qdylora/data';
import { trainedRows } from '@qdylora/lora-dynamic';
import { assertView } from '@qdylora/tensor';
import { accumulateGradients, clearArrays, type Pass, type PassOptions } from './accumulate-gradients.ts';
import { clipCoefficient, DEFAULT_MAX_GRAD_NORM, globalNorm, sumSquares } from './clip-by-global-norm.ts';
import type { TrainingView } from './loss-model.ts';
import { gradientArrays, type Optimizer, type RowRange } from './optimizers/optimizer.ts';

export interface StepOptions extends PassOptions {
  /** The optimizer's own by default. */
  readonly learningRate?: number;
  /** 1 by default; null: no clipping. */
  readonly maxGradNorm?: number | null;
  /** Rows of the adapters that the optimizer may touch; null: all. */
  readonly rows?: readonly RowRange[] | null;
  /** Told right before weights and states change: whatever fails earlier has left them as they were. */
  readonly beforeUpdate?: () => void;
}

/**
 * - `updated`: weights have changed;
 * - `non_finite`: the loss, a gradient or a number of the optimizer's state is infinite or no number, so
 *   weights and states stay as they are;
 * - `no_tokens`: no token is counted, so there is nothing to learn; loss 0.
 */
export type StepStatus = 'updated' | 'non_finite' | 'no_tokens';

export interface StepOutcome {
  readonly status: StepStatus;
  /** What is infinite or no number, the first of them; null where nothing is. */
  readonly nonFinite: 'loss' | 'gradient' | 'state' | null;
  /** Mean over the counted tokens of all passes, each alike: their weights are for the gradient. */
  readonly loss: number;
  /** Global norm of the gradient, before clipping. */
  readonly gradNorm: number;
  /** Tokens that went through the model, over all passes. */
  readonly tokens: number;
  /** Tokens that the loss counts, over all passes. */
  readonly predictedTokens: number;
}

/**
 * One optimizer step at one rank: forward, backward, clip, update. Several batches are accumulated, weighted
 * by their counted tokens.
 * Only the rows that the view trains are touched, unless `rows` says otherwise (`null` = all, as `train` does
 * for update_rule prefix).
 *
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
  const own = view.active ? trainedRows(view.active) : null;
  return runStep(
    batches.map((each) => ({ view, batch: each })),
    optimizer,
    { rows: own, ...options },
  );
}

const OPTIONS: OptionRules<StepOptions> = {
  learningRate: numberWithin({ least: 0 }),
  maxGradNorm: orNull(numberWithin({ above: 0 })),
  rows: orNull(anyValue),
  beforeUpdate: someFunction,
  computeDtype: oneOf(['f32', 'bf16']),
  recompute: anyValue,
  dropout: orNull(objectWith()),
  signal: abortSignal,
};

/** Optimizers in the middle of a step: a second one would add to the gradients of the first. */
const BUSY = new WeakSet<Optimizer>();

/**
 * One optimizer step over any passes, at any ranks. Every counted token of every pass weighs the same (or the
 * pass's weight times as much): lossScale = 1 / Σ counted tokens.
 * Waits for the device once, for loss, norm and finiteness together.
 * @throws QdyloraError BAD_ARGUMENT for options, views or batches that are none, and while the optimizer's
 * step before is not done
 */
export async function runStep(
  passes: readonly Pass[],
  optimizer: Optimizer,
  options: StepOptions = {},
): Promise<StepOutcome> {
  checkOptions('trainStep', options, OPTIONS);
  passes.forEach(assertPass);
  assertArgument(
    !BUSY.has(optimizer),
    'trainStep',
    "expected the optimizer's step before to be done, got a second one beside it",
    'await each step.',
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
  assertView('trainStep', view);
  if (!Number.isInteger(batch.predictedTokens))
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'trainStep',
      problem:
        `expected a batch with a whole number of predictedTokens, got ` +
        `${shownValue(batch.predictedTokens)}`,
      nextStep: 'collate and createBatches make batches.',
    });
  if (!(Number.isFinite(weight) && weight > 0))
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'trainStep',
      problem: `expected a number > 0 for the weight of a pass, got ${shownValue(weight)}`,
    });
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
    beforeUpdate,
  } = options;
  const counted = passes.filter(({ batch }) => batch.predictedTokens > 0);
  const tokens = counted.reduce((sum, { batch }) => sum + batch.ids.length, 0);
  const predictedTokens = counted.reduce((sum, { batch }) => sum + batch.predictedTokens, 0);
  if (predictedTokens === 0)
    return { status: 'no_tokens', nonFinite: null, loss: 0, gradNorm: 0, tokens, predictedTokens };
  const { model } = counted[0]!.view;
  optimizer.prepare(model.backend);
  const gradients = gradientArrays(optimizer);
  clearArrays(model.backend, gradients);
  const { loss, gradNorm, hasBadState } = await readReport(
    counted,
    { gradients, states: optimizer.resident?.() ?? [] },
    (losses) => accumulateGradients(counted, 1 / predictedTokens, losses, options),
  );
  const nonFinite = !Number.isFinite(loss)
    ? 'loss'
    : !Number.isFinite(gradNorm)
      ? 'gradient'
      : hasBadState
        ? 'state'
        : null;
  if (!nonFinite) {
    beforeUpdate?.();
    optimizer.step({ learningRate, gradientScale: clipCoefficient(gradNorm, maxGradNorm), rows });
  }
  return { status: nonFinite ? 'non_finite' : 'updated', nonFinite, loss, gradNorm, tokens, predictedTokens };
}

interface Report {
  readonly loss: number;
  readonly gradNorm: number;
  readonly hasBadState: boolean;
}

/** The arrays whose numbers are looked at. */
interface Watched {
  readonly gradients: readonly ArrayView<'f32'>[];
  readonly states: readonly ArrayView<'f32'>[];
}

/**
 * Runs `passes` and reads losses: [passes] and sums of squares: [arrays of gradients], [arrays of state] as
 * one array.
 */
async function readReport(
  passes: readonly Pass[],
  { gradients, states }: Watched,
  run: (losses: ArrayView<'f32'>) => Promise<void>,
): Promise<Report> {
  const { backend } = passes[0]!.view.model;
  const { memory } = backend;
  const squared = passes.length + gradients.length;
  const report = memory.allocate('f32', [squared + states.length]);
  memory.persist(report);
  try {
    await run(rowsOf(report, 0, passes.length));
    sumSquares(backend, gradients, rowsOf(report, passes.length, squared));
    sumSquares(backend, states, rowsOf(report, squared, squared + states.length));
    const values = await memory.read(report);
    const loss = passes.reduce((sum, { weight = 1 }, i) => sum + values[i]! / weight, 0);
    const gradNorm = globalNorm(values.subarray(passes.length, squared));
    return {
      loss,
      gradNorm,
      hasBadState: await holdsNoNumber(
        memory,
        states.filter((_, i) => !Number.isFinite(values[squared + i])),
      ),
    };
  } finally {
    memory.release(report);
  }
}

/**
 * A sum of squares may overflow where every number is finite (second moments above 1e19), so suspects are
 * looked at one by one.
 */
async function holdsNoNumber(memory: Memory, suspects: readonly ArrayView<'f32'>[]): Promise<boolean> {
  for (const view of suspects) if (!(await memory.read(view)).every(Number.isFinite)) return true;
  return false;
}
