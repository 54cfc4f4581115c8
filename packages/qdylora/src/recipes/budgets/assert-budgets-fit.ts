import { QdyloraError } from '@qdylora/contract';
import { rowBytes, type AdapterState } from '@qdylora/lora-dynamic';
import { byteSizeText } from '../../config/values/byte-size.ts';

type Sizes = Parameters<typeof rowBytes>[0];

/**
 * Refuses sizes below one row of an adapter before anything is trained.
 *
 * @throws QdyloraError BAD_CONFIG
 */
export function assertBudgetsFit(
  budgets: 'ranks' | readonly number[] | null,
  { layers, maxRank }: Pick<AdapterState, 'maxRank'> & { readonly layers: readonly Sizes[] },
  where: 'eval_budgets' | 'budget' = 'eval_budgets',
): void {
  if (budgets === null || budgets === 'ranks') return;
  const bytesOfRows = layers.map(rowBytes);
  const smallest = Math.min(...bytesOfRows);
  const wholeBytes = maxRank * bytesOfRows.reduce((sum, bytes) => sum + bytes, 0);
  const tooSmall = budgets.find((bytes) => bytes < smallest);
  if (tooSmall === undefined) return;
  const isDifferenceShown = byteSizeText(tooSmall) !== byteSizeText(smallest);
  const text = (bytes: number): string =>
    isDifferenceShown ? byteSizeText(bytes) : `${bytes.toLocaleString('en-US')} B`;
  throw new QdyloraError('BAD_CONFIG', {
    where,
    problem: `A budget is ${text(tooSmall)}, but the smallest row of an adapter takes ${text(smallest)}`,
    nextStep:
      `The whole adapter has ${byteSizeText(wholeBytes)}: ` +
      (where === 'budget' ? 'choose a size below it, or a rank.' : 'choose sizes below it, or ranks.'),
    details: { budgetBytes: tooSmall, smallestBytes: smallest, wholeBytes },
  });
}
