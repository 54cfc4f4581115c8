import { QdyloraError, shownValue } from '@qdylora/contract';
import type { Parameter } from '@qdylora/tensor';
import type { OptimizerUpdate } from './optimizer.ts';

/**
 * Refuses, before anything changes, a rate or a scale that is not finite, and rows out of order or out of
 * range.
 *
 * @throws QdyloraError BAD_ARGUMENT for a rate or a scale that is not a finite number, or for rows that are
 * not ascending within the largest parameter
 */
export function checkUpdate(
  parameters: readonly Parameter[],
  { learningRate, gradientScale, rows }: OptimizerUpdate,
): void {
  const need = (holds: boolean, expected: string, name: string, got: unknown): void => {
    if (!holds)
      throw new QdyloraError('BAD_ARGUMENT', {
        where: 'optimizer.step',
        problem: `${name} must be ${expected} (got ${shownValue(got)})`,
      });
  };
  need(
    Number.isFinite(learningRate) && learningRate >= 0,
    'a number of at least 0',
    'learningRate',
    learningRate,
  );
  need(Number.isFinite(gradientScale), 'a finite number', 'gradientScale', gradientScale);
  if (rows === null) return;
  const most = parameters.reduce((largest, { view }) => Math.max(largest, view.shape[0] ?? 1), 0);
  const areValid =
    Array.isArray(rows) &&
    rows.every(
      (range, i) =>
        Array.isArray(range) &&
        range.every(Number.isInteger) &&
        range[0] >= (rows[i - 1]?.[1] ?? 0) &&
        range[1] >= range[0] &&
        range[1] <= most,
    );
  need(areValid, `null for all rows, or ascending ranges [from, to) within 0…${most}`, 'rows', rows);
}
