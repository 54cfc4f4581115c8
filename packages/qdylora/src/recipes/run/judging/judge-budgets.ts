import { QdyloraError } from '@qdylora/contract';
import type { Example, ExampleSource } from '@qdylora/data';
import type { RankReport } from '@qdylora/eval';
import { anchorLevel } from '@qdylora/lora-dynamic';
import { budgetReport, type BudgetReport } from '../../budgets/budget-report.ts';
import { measureBudgets } from '../../budgets/measure-budgets.ts';
import { BUDGET_ROWS } from '../../budgets/weigh-rows.ts';
import type { OpenedRun } from '../opened-run.ts';
import type { RunSession } from '../run-session.ts';
import { JUDGED_TOKENS } from './judged-tokens.ts';
import type { Judgement } from './judgement.ts';

/**
 * Held-out losses of the trained adapter at the sizes of `eval_budgets`; null where the run asks for none, or
 * where they cannot be measured, which is then a notice.
 *
 * @throws QdyloraError ABORTED
 */
export async function judgeBudgets(
  { config: { evalBudgets, computeDtype, quantizationLevels }, data, run: { model, adapted } }: OpenedRun,
  judgement: Judgement | null,
  { emit, notice, signal }: Pick<RunSession, 'emit' | 'notice' | 'signal'>,
): Promise<BudgetReport | null> {
  if (evalBudgets === null || !adapted) return null;
  if (!judgement?.ranks || !Number.isFinite(judgement.ranks.ranks.at(-1)!.loss)) {
    notice(
      judgement?.ranks
        ? `eval_budgets: rank ${adapted.ranks.maxRank} has no finite loss, so nothing was cut from it.`
        : 'eval_budgets: no row was held out, so no budget was evaluated.',
    );
    return null;
  }
  const { ranks, rankLosses } = judgement;
  const taskRows = firstRows(data.training, BUDGET_ROWS);
  const trained = { model, adapted, state: await adapted.state(), level: anchorLevel(quantizationLevels) };
  try {
    const measured = await measureBudgets(trained, {
      budgets: evalBudgets === 'ranks' ? bytesOfRanks(ranks) : evalBudgets,
      taskRows,
      heldOut: data.heldOut,
      tokensPerBatch: JUDGED_TOKENS,
      computeDtype,
      signal,
      onProgress: (progress) => {
        emit({ type: 'phase', phase: 'judging', ...progress });
      },
    });
    return budgetReport({ rows: taskRows.length, measured, ranks: rankLosses, alpha: ranks.alpha });
  } catch (error) {
    if (!QdyloraError.isInstance(error) || error.code !== 'NON_FINITE') throw error;
    notice(`eval_budgets: no budget was evaluated. ${error.message}`);
    return null;
  }
}

/** Bytes of all ranks but the largest, which holds the whole adapter. */
const bytesOfRanks = ({ ranks }: RankReport): number[] =>
  ranks.slice(0, -1).map(({ adapterBytes }) => adapterBytes!);

function firstRows(source: ExampleSource, count: number): Example[] {
  const rows: Example[] = [];
  for (let i = 0; i < source.length && rows.length < count; i++) {
    const row = source.at(i);
    if (row) rows.push(row);
  }
  return rows;
}
