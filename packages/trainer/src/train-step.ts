import { rowsOf, type ArrayView } from '@qdylora/contract';
import type { TokenBatch } from '@qdylora/data';
import { accumulateGradients, clearGradients, type Pass, type PassOptions } from './accumulate-gradients.ts';
import { clipCoefficient, DEFAULT_MAX_GRAD_NORM, globalNorm, sumSquares } from './clip-by-global-norm.ts';
import type { TrainingView } from './loss-model.ts';
import type { Optimizer, RowRange } from './optimizers/optimizer.ts';

export interface StepOptions extends PassOptions {
  /** The optimizer's own by default. */
  readonly learningRate?: number;
  /** 1 by default; null: no clipping. */
  readonly maxGradNorm?: number | null;
  /** Rows of the adapters that the optimizer may touch; null: all. */
  readonly rows?: readonly RowRange[] | null;
}

/**
 * - `updated`: weights have changed;
 * - `non_finite`: the loss or a gradient is infinite or no number, so weights and states stay as they are;
 * - `no_tokens`: no token is counted, so there is nothing to learn; loss 0.
 */
export type StepStatus = 'updated' | 'non_finite' | 'no_tokens';

export interface StepOutcome {
  readonly status: StepStatus;
  /** Mean over the counted tokens of all passes. */
  readonly loss: number;
  /** Global norm of the gradient, before clipping. */
  readonly gradNorm: number;
  /** Tokens that went through the model, over all passes. */
  readonly tokens: number;
  /** Tokens that the loss counts, over all passes. */
  readonly predictedTokens: number;
}

/**
 * One optimizer step at one rank: forward, backward, clip, update. Several batches are accumulated, weighted by their counted tokens.
 * Only the rows that the view trains are touched, unless `rows` says otherwise (`null` = all, as `train` does for update_rule prefix).
 *
 * @example
 * const { loss } = await trainStep(adapted.atRank(8), batches.batchAt(step), optimizer);
 */
export function trainStep(view: TrainingView, batch: TokenBatch | readonly TokenBatch[], optimizer: Optimizer, options: StepOptions = {}): Promise<StepOutcome> {
  const batches = 'ids' in batch ? [batch] : batch, own = view.active && [[view.active.trainFrom, view.active.rank] as const];
  return runStep(batches.map((each) => ({ view, batch: each })), optimizer, { rows: own, ...options });
}

/**
 * One optimizer step over any passes, at any ranks. Every counted token of every pass weighs the same: lossScale = 1 / Σ counted tokens.
 * Waits for the device once, for loss, norm and finiteness together.
 */
export async function runStep(passes: readonly Pass[], optimizer: Optimizer, options: StepOptions = {}): Promise<StepOutcome> {
  const { learningRate = optimizer.learningRate, maxGradNorm = DEFAULT_MAX_GRAD_NORM, rows = null } = options;
  const counted = passes.filter(({ batch }) => batch.predictedTokens > 0);
  const tokens = counted.reduce((sum, { batch }) => sum + batch.ids.length, 0), predictedTokens = counted.reduce((sum, { batch }) => sum + batch.predictedTokens, 0);
  if (predictedTokens === 0) return { status: 'no_tokens', loss: 0, gradNorm: 0, tokens, predictedTokens };
  const { model } = counted[0]!.view;
  optimizer.prepare(model.backend);
  clearGradients(model, optimizer.parameters);
  const { loss, gradNorm } = await readReport(counted, optimizer, (losses) => accumulateGradients(counted, 1 / predictedTokens, losses, options));
  const isFinite = Number.isFinite(loss) && Number.isFinite(gradNorm);
  if (isFinite) optimizer.step({ learningRate, gradientScale: clipCoefficient(gradNorm, maxGradNorm), rows });
  return { status: isFinite ? 'updated' : 'non_finite', loss, gradNorm, tokens, predictedTokens };
}

/** Runs `passes` and reads losses: [passes] and sums of squares: [parameters] as one array. */
async function readReport(passes: readonly Pass[], { parameters }: Optimizer, run: (losses: ArrayView<'f32'>) => Promise<void>): Promise<{ loss: number; gradNorm: number }> {
  const { backend } = passes[0]!.view.model, { memory } = backend, report = memory.allocate('f32', [passes.length + parameters.length]);
  memory.persist(report);
  try {
    await run(rowsOf(report, 0, passes.length));
    sumSquares(backend, parameters, rowsOf(report, passes.length, passes.length + parameters.length));
    const values = await memory.read(report);
    return { loss: values.subarray(0, passes.length).reduce((sum, loss) => sum + loss, 0), gradNorm: globalNorm(values.subarray(passes.length)) };
  } finally {
    memory.release(report);
  }
}
