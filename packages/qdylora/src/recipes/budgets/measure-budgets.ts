import type { Example } from '@qdylora/data';
import { perplexity, type ExampleLosses, type MeasureOptions } from '@qdylora/eval';
import { allocateRanks, attachDyLora, type Adapted, type AdapterState } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import type { MeasuredBudget } from './budget-report.ts';
import { layersAtRanks, weighRows, type TrainedAdapter } from './weigh-rows.ts';

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
  model: CausalLm,
  trained: TrainedAdapter,
  { budgets, taskRows, heldOut, tokensPerBatch, onProgress, ...options }: MeasureBudgetsOptions,
): Promise<MeasuredBudget[]> {
  const { state, gains } = await weighRows(trained, taskRows, options);
  const task = perplexity(heldOut, { tokensPerBatch });
  const measured: MeasuredBudget[] = [];
  await withSecondAdapter(model, trained.adapted, async (second) => {
    for (const [i, budgetBytes] of budgets.entries()) {
      const ranks = allocateRanks(gains, budgetBytes);
      await load(second, layersAtRanks(state, ranks));
      const [losses] = (await task.measure([second.atRank(second.ranks.maxRank)], {
        ...options,
        onProgress: ({ done, total }) => {
          onProgress({ done: i * total + done, total: budgets.length * total });
        },
      })) as [ExampleLosses];
      measured.push({ budgetBytes, ...sizesOf(state, ranks), losses });
    }
  });
  return measured;
}

/** An adapter of the same layers, whose scale is 1. */
async function withSecondAdapter(
  model: CausalLm,
  adapted: Adapted<CausalLm>,
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

function load(second: Adapted<CausalLm>, cut: AdapterState['layers']): Promise<void> {
  const { alpha, scaling, ranks } = second.config;
  const { maxRank } = ranks;
  const layers = cut.map((layer) => ({
    ...layer,
    a: filledUp(layer.a, maxRank * layer.inFeatures),
    b: filledUp(layer.b, maxRank * layer.outFeatures),
  }));
  return second.load({ ranks: ranks.ranks, maxRank, alpha, scaling, layers });
}

/** The numbers, and 0 after them. */
function filledUp(values: Float32Array, length: number): Float32Array {
  const result = new Float32Array(length);
  result.set(values);
  return result;
}

function sizesOf(
  { layers }: AdapterState,
  rankOf: ReadonlyMap<string, number>,
): Pick<MeasuredBudget, 'adapterBytes' | 'smallestRank' | 'largestRank'> {
  const ranks = [...rankOf.values()];
  const bytes = layers.map(
    ({ name, inFeatures, outFeatures }) => 4 * rankOf.get(name)! * (inFeatures + outFeatures),
  );
  return {
    adapterBytes: bytes.reduce((sum, count) => sum + count, 0),
    smallestRank: Math.min(...ranks),
    largestRank: Math.max(...ranks),
  };
}
