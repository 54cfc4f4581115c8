import type { Example } from '@qdylora/data';
import { perplexity, type ExampleLosses, type MeasureOptions } from '@qdylora/eval';
import type { AdapterState } from '@qdylora/lora-dynamic';
import type { MeasuredBudget } from './budget-report.ts';
import { chooseRanks } from './choose-ranks.ts';
import { bytesAtRanks, withCuts, type RankOf } from './cut-adapter.ts';
import { weighRows, type TrainedAdapter } from './weigh-rows.ts';

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
 * measures it on held-out rows.
 *
 * @throws QdyloraError BAD_ARGUMENT for a budget below one row; NON_FINITE; ABORTED
 */
export async function measureBudgets(
  trained: TrainedAdapter,
  { budgets, taskRows, heldOut, tokensPerBatch, onProgress, ...options }: MeasureBudgetsOptions,
): Promise<MeasuredBudget[]> {
  const weighed = await weighRows(trained, taskRows, options);
  const task = perplexity(heldOut, { tokensPerBatch });
  const measured: MeasuredBudget[] = [];
  await withCuts(trained, weighed.state, async (cut) => {
    for (const [i, budgetBytes] of budgets.entries()) {
      const ranks = await chooseRanks(budgetBytes, weighed, { cut, taskRows, tokensPerBatch, ...options });
      const [losses] = (await task.measure([await cut(ranks)], {
        ...options,
        onProgress: ({ done, total }) => {
          onProgress({ done: i * total + done, total: budgets.length * total });
        },
      })) as [ExampleLosses];
      measured.push({ budgetBytes, ...sizesOf(weighed.state, ranks), losses });
    }
  });
  return measured;
}

function sizesOf(
  state: AdapterState,
  rankOf: RankOf,
): Pick<MeasuredBudget, 'adapterBytes' | 'smallestRank' | 'largestRank'> {
  const ranks = [...rankOf.values()];
  return {
    adapterBytes: bytesAtRanks(state, rankOf),
    smallestRank: Math.min(...ranks),
    largestRank: Math.max(...ranks),
  };
}
