import { elementCount, runOp, rowsOf, type ArrayView, type Backend } from '@qdylora/contract';
import {
  areSiblings,
  sumInOrder,
  termsOfWorker,
  type Communicator,
  type TermRange,
} from '@qdylora/collectives';
import { addInto, copy, fill } from '@qdylora/tensor';
import { accumulateGradients, clearArrays, type AccumulateOptions } from './accumulate-gradients.ts';
import type { Pass } from './run-pass.ts';
import { gradientArrays, type Optimizer } from '../optimizers/optimizer.ts';

type F32 = ArrayView<'f32'>;

/** What the workers compute together. */
export interface SharedStep {
  /** All passes of the step, the same on every worker. */
  readonly passes: readonly Pass[];
  readonly lossScale: number;
  /** Gets lossScale · weight · Σ(token losses) of each pass: [passes] */
  readonly losses: F32;
  readonly optimizer: Pick<Optimizer, 'parameters' | 'gradients'>;
  readonly workers: Communicator;
}

/**
 * `accumulateGradients`, with the passes shared out over workers. Every worker gets the gradients and the
 * losses of all passes. They have the same bits for any number of workers: the gradient of each term is
 * computed alone, and the terms are added in an order that depends on their number (`sumInOrder`). A term is
 * a pass, or a pair of which one pass learns from the other.
 *
 * Rows of adapters beyond the largest rank of the step have no gradient and are not sent.
 *
 * An abort waits for the end of the step, since the other workers wait for this one.
 */
export async function shareAccumulation(
  { passes, lossScale, losses, optimizer, workers }: SharedStep,
  { signal: _, ...options }: AccumulateOptions,
): Promise<void> {
  const { backend } = passes[0].view.model;
  const terms = termsOf(passes);
  const own = termsOfWorker(terms.length, workers.rank, workers.size);
  const gradients = gradientArrays(optimizer);
  const blocks = gradientBlocks(backend, gradients);
  runOp(backend, fill, {}, { value: 0, shape: losses.shape }, { y: losses });
  try {
    for (let term = own.from; term < own.to; term++) {
      const { from, to } = terms[term];
      if (term > own.from) blocks.setAside();
      const ownLosses = rowsOf(losses, from, to);
      await accumulateGradients(passes.slice(from, to), lossScale, ownLosses, {
        ...options,
        firstIndex: from,
      });
      blocks.join(term);
    }
    await exchange(blocks, { count: terms.length, views: sentViews(passes, optimizer), backend, workers });
  } finally {
    blocks.release();
  }
  await exchangeLosses(backend, losses, workers);
}

/** Ranges of the passes that belong together. */
function termsOf(passes: readonly Pass[]): TermRange[] {
  const terms: TermRange[] = [];
  for (let from = 0; from < passes.length;) {
    const to = from + (passes[from].distillation?.role === 'teacher' ? 2 : 1);
    terms.push({ from, to });
    from = to;
  }
  return terms;
}

/** The sums of neighbouring terms: the newest one in the arrays of the gradients, the others beside them. */
interface GradientBlocks {
  /** Copies the newest sum and clears the gradients for the next term. */
  setAside(): void;
  /** Takes what the gradients hold as that of a term, and adds the sums of its siblings. */
  join(term: number): void;
  /** Calls `read` for each block, from the last to the first, with its sums in the gradients. */
  forEachFromLast(read: () => Promise<void>): Promise<void>;
  release(): void;
}

function gradientBlocks(backend: Backend, gradients: readonly F32[]): GradientBlocks {
  const { memory } = backend;
  const aside: { readonly range: TermRange; readonly arrays: readonly F32[] }[] = [];
  let newest: TermRange | null = null;
  const free = (arrays: readonly F32[]): void => {
    for (const array of arrays) memory.release(array);
  };
  return {
    setAside() {
      const arrays = gradients.map((gradient) => {
        const array = memory.allocate('f32', gradient.shape);
        memory.persist(array);
        runOp(backend, copy, { x: gradient }, {}, { y: array });
        return array;
      });
      aside.push({ range: newest!, arrays });
      clearArrays(backend, gradients);
    },
    join(term) {
      newest = { from: term, to: term + 1 };
      for (let last = aside.at(-1); last && areSiblings(last.range, newest); last = aside.at(-1)) {
        const { arrays, range } = aside.pop()!;
        addArrays(backend, arrays, gradients);
        free(arrays);
        newest = { from: range.from, to: newest.to };
      }
    },
    async forEachFromLast(read) {
      if (!newest) return;
      await read();
      for (let last = aside.pop(); last; last = aside.pop()) {
        last.arrays.forEach((x, i) => {
          runOp(backend, copy, { x }, {}, { y: gradients[i] });
        });
        free(last.arrays);
        await read();
      }
    },
    release() {
      for (const { arrays } of aside.splice(0)) free(arrays);
    },
  };
}

const addArrays = (backend: Backend, from: readonly F32[], to: readonly F32[]): void => {
  from.forEach((x, i) => {
    runOp(backend, addInto, { x }, {}, { sum: to[i] });
  });
};

/** The gradients that passes of these ranks have: of adapters the first rows, of other weights all. */
function sentViews(passes: readonly Pass[], { parameters }: Pick<Optimizer, 'parameters'>): F32[] {
  const gradients = parameters.map(({ gradient }) => gradient!);
  const ranks = passes.map(({ view }) => view.active?.rank ?? null);
  if (ranks.includes(null)) return gradients;
  const largest = Math.max(...(ranks as number[]));
  return gradients.map((gradient) => rowsOf(gradient, 0, Math.min(largest, gradient.shape[0])));
}

interface Exchange {
  /** Terms of all workers. */
  readonly count: number;
  readonly views: readonly F32[];
  readonly backend: Backend;
  readonly workers: Communicator;
}

/** Replaces the gradients of this worker by the sum over all terms of all workers. */
async function exchange(
  blocks: GradientBlocks,
  { count, views, backend: { memory }, workers }: Exchange,
): Promise<void> {
  const lengths = views.map(({ shape }) => elementCount(shape));
  const length = lengths.reduce((sum, each) => sum + each, 0);
  const sums: Float32Array[] = [];
  await blocks.forEachFromLast(async () => {
    const packed = new Float32Array(length);
    let start = 0;
    for (const view of views) {
      const values = await memory.read(view);
      packed.set(values, start);
      start += values.length;
    }
    sums.unshift(packed);
  });
  const total = await sumInOrder(workers, { count, sums, length });
  let start = 0;
  views.forEach((view, i) => {
    memory.write(view, total.subarray(start, (start += lengths[i])));
  });
}

/** Each worker has its own losses, and 0 for the others: their sum is exact. */
async function exchangeLosses({ memory }: Backend, losses: F32, workers: Communicator): Promise<void> {
  const values = Float32Array.from(await memory.read(losses));
  await workers.allReduce(values);
  memory.write(losses, values);
}
