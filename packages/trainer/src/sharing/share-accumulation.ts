import { elementCount, runOp, rowsOf, type ArrayView, type Backend } from '@qdylora/contract';
import { sumInOrder, termsOfWorker, type Communicator, type TermRange } from '@qdylora/collectives';
import { fill } from '@qdylora/tensor';
import { gradientArrays, type Optimizer } from '../optimizers/optimizer.ts';
import { accumulateGradients, type AccumulateOptions } from '../step/accumulate-gradients.ts';
import type { Pass } from '../step/run-pass.ts';
import { gradientBlocks, type GradientBlocks } from './gradient-blocks.ts';
import type { GradientSum } from './gradient-sum.ts';
import { limitRanks, rowFactors, scaleRows, type RowFactor, type WorkerRanks } from './limited-ranks.ts';
import { packViews, unpackViews } from './pack-views.ts';
import { termsOf } from './passes-of-worker.ts';

type F32 = ArrayView<'f32'>;

/** A step that workers compute together. A process without workers is the only worker (`oneProcess`). */
export interface SharedStep {
  /** All passes of the step, the same on every worker. */
  readonly passes: readonly Pass[];
  readonly lossScale: number;
  /** The part of `lossScale` that scales the loss against underflow; 1: none. */
  readonly lossFactor: number;
  /** Gets lossScale · weight · Σ(token losses) of each pass: [passes] */
  readonly losses: F32;
  readonly optimizer: Pick<Optimizer, 'parameters' | 'gradients'>;
  readonly workers: Communicator;
  /** How gradients are added; null: in an order that does not depend on the number of workers. */
  readonly gradientSum: GradientSum | null;
  /** The largest rank that each worker trains; null: all ranks. */
  readonly maxRanks: WorkerRanks | null;
}

/**
 * `accumulateGradients` with the passes shared over workers. Every worker gets the gradients and the
 * losses of all passes. Without `gradientSum` they have the same bits for any number of workers: the gradient
 * of each term is computed alone, and the terms are added in an order that depends on their number
 * (`sumInOrder`). A term is a pass, or a teacher with all passes that learn from it.
 *
 * With `maxRanks` a worker cuts the ranks of its passes to its own, and the gradient of a row is a mean over
 * the tokens of the workers that trained it (`rowFactors`). Its partial sums have the rows up to its rank.
 * Gradients and states have all rows on every worker, because each worker updates the whole adapter.
 *
 * Rows of adapters beyond the largest rank of the step have no gradient and are not sent.
 *
 * @throws QdyloraError ABORTED as in `accumulateGradients`. If there are several workers, none may pass a
 * signal, since the others wait for it
 */
export async function shareAccumulation(step: SharedStep, options: AccumulateOptions): Promise<void> {
  const { losses, workers, gradientSum, maxRanks, passes: drawn } = step;
  const { backend } = drawn[0].view.model;
  const terms = termsOf(drawn);
  const range = termsOfWorker(terms.length, workers.rank, workers.size);
  const passes = maxRanks ? limitRanks(drawn, terms, maxRanks) : drawn;
  const factors = maxRanks
    ? await rowFactors(workers, { drawn, limited: passes, range: passesIn(terms, range) })
    : [];
  const plan = { ...step, passes, terms, range, factors, options };
  const isAlone = workers.size === 1;
  if (!isAlone) runOp(backend, fill, {}, { value: 0, shape: losses.shape }, { y: losses });
  if (gradientSum) await addInAnyOrder({ ...plan, gradientSum });
  else await addInOrder(plan);
  if (!isAlone) await exchangeLosses(backend, losses, workers);
}

/** The passes of some terms. */
const passesIn = (terms: readonly TermRange[], { from, to }: TermRange): TermRange =>
  from === to ? { from: 0, to: 0 } : { from: terms[from].from, to: terms[to - 1].to };

/** A step, and the part of it that this worker computes. */
interface PlannedStep extends SharedStep {
  readonly terms: readonly TermRange[];
  /** The terms of this worker. */
  readonly range: TermRange;
  readonly factors: readonly RowFactor[];
  readonly options: AccumulateOptions;
}

/** Runs the passes of some terms, which add to the gradients. */
function runTerms(
  { passes, lossScale, losses, terms, options }: PlannedStep,
  range: TermRange,
): Promise<void> {
  const { from, to } = passesIn(terms, range);
  return accumulateGradients(passes.slice(from, to), lossScale, rowsOf(losses, from, to), {
    ...options,
    firstIndex: from,
  });
}

async function addInAnyOrder(plan: PlannedStep & { readonly gradientSum: GradientSum }): Promise<void> {
  const { range, passes, optimizer, workers, factors, lossFactor, gradientSum } = plan;
  const { memory } = passes[0].view.model.backend;
  if (range.to > range.from) await runTerms(plan, range);
  if (workers.size === 1) return;
  const views = sentViews(passes, optimizer);
  const packed = await packViews(memory, views);
  await gradientSum.add(workers, { ...packed, lossFactor });
  scaleRows(packed.values, views, factors);
  unpackViews(memory, packed.values, views);
}

async function addInOrder(plan: PlannedStep): Promise<void> {
  const { passes, optimizer, range, terms, workers, factors } = plan;
  const { backend } = passes[0].view.model;
  const views = sentViews(passes, optimizer);
  // partial sums have only the rows that this worker trains, which may be fewer than it sends
  const workerRange = passesIn(terms, range);
  const blocks = gradientBlocks(
    backend,
    summedViews(passes.slice(workerRange.from, workerRange.to), optimizer),
  );
  try {
    for (let term = range.from; term < range.to; term++) {
      if (term > range.from) blocks.setAside();
      await runTerms(plan, { from: term, to: term + 1 });
      blocks.join(term);
    }
    if (workers.size === 1) blocks.addAll();
    else await exchange(blocks, { count: terms.length, views, factors, backend, workers });
  } finally {
    blocks.release();
  }
}

/** The gradient rows that these passes can reach: rows below their largest rank; all rows without a rank. */
function sentViews(passes: readonly Pass[], { parameters }: Pick<Optimizer, 'parameters'>): readonly F32[] {
  const gradients = parameters.map(({ gradient }) => gradient!);
  const ranks = passes.map(({ view }) => view.active?.rank ?? null);
  if (ranks.includes(null)) return gradients;
  const largest = Math.max(...(ranks as number[]));
  return gradients.map((gradient) => rowsOf(gradient, 0, Math.min(largest, gradient.shape[0])));
}

/** The rows that this worker sums. If these are all rows: the optimizer's own, fewer and larger arrays. */
function summedViews(
  passes: readonly Pass[],
  optimizer: Pick<Optimizer, 'parameters' | 'gradients'>,
): readonly F32[] {
  if (passes.length === 0) return [];
  const views = sentViews(passes, optimizer);
  const hasAllRows = views.every(({ shape }, i) => shape[0] === optimizer.parameters[i].view.shape[0]);
  return hasAllRows ? gradientArrays(optimizer) : views;
}

interface Exchange {
  /** Terms of all workers. */
  readonly count: number;
  readonly views: readonly F32[];
  readonly factors: readonly RowFactor[];
  readonly backend: Backend;
  readonly workers: Communicator;
}

/** Replaces the gradients of this worker with the sum over all terms of all workers. */
async function exchange(
  blocks: GradientBlocks,
  { count, views, factors, backend: { memory }, workers }: Exchange,
): Promise<void> {
  const length = views.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const sums: Float32Array[] = [];
  await blocks.forEachFromLast(async () => {
    sums.unshift((await packViews(memory, views)).values);
  });
  const total = await sumInOrder(workers, { count, sums, length });
  scaleRows(total, views, factors);
  unpackViews(memory, total, views);
}

/** Each worker has its own losses, and 0 for the others: their sum is exact. */
async function exchangeLosses({ memory }: Backend, losses: F32, workers: Communicator): Promise<void> {
  const values = Float32Array.from(await memory.read(losses));
  await workers.allReduce(values);
  memory.write(losses, values);
}
