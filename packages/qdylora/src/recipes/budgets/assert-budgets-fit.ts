import { QdyloraError } from '@qdylora/contract';
import { rowBytes, type Adapted } from '@qdylora/lora-dynamic';
import { byteSizeText } from '../../config/values/byte-size.ts';

/**
 * Refuses sizes below one row of an adapter before anything is trained.
 *
 * @throws QdyloraError BAD_CONFIG
 */
export function assertBudgetsFit(
  budgets: 'ranks' | readonly number[] | null,
  { layers, ranks: { maxRank } }: Pick<Adapted<unknown>, 'layers' | 'ranks'>,
): void {
  if (budgets === null || budgets === 'ranks') return;
  const bytesOfRows = layers.map(rowBytes);
  const smallest = Math.min(...bytesOfRows);
  const wholeBytes = maxRank * bytesOfRows.reduce((sum, bytes) => sum + bytes, 0);
  const tooSmall = budgets.find((bytes) => bytes < smallest);
  if (tooSmall === undefined) return;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'eval_budgets',
    problem:
      `A budget is ${byteSizeText(tooSmall)}, but the smallest row of an adapter takes ` +
      `${byteSizeText(smallest)}`,
    nextStep: `The whole adapter has ${byteSizeText(wholeBytes)}: choose sizes below it, or ranks.`,
    details: { budgetBytes: tooSmall, smallestBytes: smallest, wholeBytes },
  });
}
