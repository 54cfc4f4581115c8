import type { Example } from '@qdylora/data';
import { perplexity, type ExampleLosses, type MeasureOptions } from '@qdylora/eval';
import { allocateRanks, attachDyLora, type Adapted, type SortedLayer } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import type { MeasuredBudget } from './budget-report.ts';
import { sortByTask, type TrainedAdapter } from './sort-by-task.ts';

export interface MeasureBudgetsOptions extends Omit<MeasureOptions, 'onProgress'> {
  /** Sizes in bytes, rising. */
  readonly budgets: readonly number[];
  /** Rows of the task that decide the ranks of layers. */
  readonly taskRows: readonly Example[];
  readonly heldOut: readonly Example[];
  readonly tokensPerBatch: number;
  /** Called after each forward pass over held-out rows. */
  readonly onProgress: (progress: { readonly done: number; readonly total: number }) => void;
}

/**
 * Cuts a trained adapter to each budget with a rank for each layer, as `qdylora export --budget` does, and
 * measures it on held-out rows. The cuts are loaded into a second adapter, one after the other; a row that is
 * cut off is 0 there.
 *
 * @throws QdyloraError BAD_ARGUMENT for a budget below one row; ABORTED
 */
export async function measureBudgets(
  trained: TrainedAdapter,
  { budgets, taskRows, heldOut, tokensPerBatch, onProgress, ...options }: MeasureBudgetsOptions,
): Promise<MeasuredBudget[]> {
  const sorted = await sortByTask(trained, taskRows, { ...options, tokensPerBatch });
  const task = perplexity(heldOut, { tokensPerBatch });
  const measured: MeasuredBudget[] = [];
  await withSecondAdapter(trained, async (second) => {
    for (const [i, budgetBytes] of budgets.entries()) {
      const ranks = allocateRanks(sorted, budgetBytes);
      await load(second, sorted, ranks);
      const [losses] = (await task.measure([second.atRank(second.ranks.maxRank)], {
        ...options,
        onProgress: ({ done, total }) => {
          onProgress({ done: i * total + done, total: budgets.length * total });
        },
      })) as [ExampleLosses];
      measured.push({ budgetBytes, ...sizesOf(sorted, ranks), losses });
    }
  });
  return measured;
}

/** An adapter of the same layers, whose scale is 1. */
async function withSecondAdapter(
  { model, adapted }: TrainedAdapter,
  work: (second: Adapted<CausalLm>) => Promise<void>,
): Promise<void> {
  const { maxRank } = adapted.ranks;
  const second = attachDyLora(model, {
    ranks: [maxRank],
    scaling: 'constant',
    alpha: maxRank,
    targetModules: adapted.layers.map(({ name }) => name),
  });
  try {
    await work(second);
  } finally {
    for (const { view } of second.parameters()) model.backend.memory.release(view);
  }
}

function load(
  second: Adapted<CausalLm>,
  sorted: readonly SortedLayer[],
  rankOf: ReadonlyMap<string, number>,
): Promise<void> {
  const { alpha, scaling, ranks } = second.config;
  const layers = sorted.map((layer) => {
    const rank = rankOf.get(layer.name)!;
    return {
      ...layer,
      a: firstOf(layer.a, rank * layer.inFeatures),
      b: firstOf(layer.b, rank * layer.outFeatures),
    };
  });
  return second.load({ ranks: ranks.ranks, maxRank: ranks.maxRank, alpha, scaling, layers });
}

/** The first numbers, and 0 in place of the others. */
function firstOf(values: Float32Array, count: number): Float32Array {
  const result = new Float32Array(values.length);
  result.set(values.subarray(0, count));
  return result;
}

function sizesOf(
  sorted: readonly SortedLayer[],
  rankOf: ReadonlyMap<string, number>,
): Pick<MeasuredBudget, 'adapterBytes' | 'smallestRank' | 'largestRank'> {
  const ranks = [...rankOf.values()];
  const bytes = sorted.map(
    ({ name, inFeatures, outFeatures }) => 4 * rankOf.get(name)! * (inFeatures + outFeatures),
  );
  return {
    adapterBytes: bytes.reduce((sum, count) => sum + count, 0),
    smallestRank: Math.min(...ranks),
    largestRank: Math.max(...ranks),
  };
}
