import type { RankRow } from '@qdylora/eval';
import { countOf, lossText } from '../../report/number-text.ts';
import type { EventLine } from '../run-folder/event-line.ts';

/**
 * How training changed the held-out loss of an adapter that the run started from: the evaluation before the
 * first step beside the last one, at each rank that has both. Null where there was no such evaluation.
 */
export function lossChange(
  events: readonly EventLine[],
  ranks: readonly Pick<RankRow, 'rank' | 'loss'>[],
  steps: number,
): string | null {
  const before = events.find((event) => event.type === 'eval' && event.step === 0);
  if (before?.type !== 'eval') return null;
  const pairs = ranks.flatMap(({ rank, loss }) => {
    const start = before.by_rank.find((one) => one.rank === rank)?.loss;
    return start === undefined ? [] : [{ rank, start: start ?? NaN, loss }];
  });
  if (pairs.length === 0) return null;
  const changes = pairs.map(
    ({ rank, start, loss }) => `${lossText(start)} → ${lossText(loss)} at rank ${rank}`,
  );
  const isWorse = pairs.reduce((sum, { start, loss }) => sum + loss - start, 0) > 0;
  const hint = isWorse ? ' It rose: adapter-best has the weights of the best evaluation.' : '';
  const after = countOf(steps, 'step');
  return `Held-out loss before the first step → after ${after}: ${changes.join(', ')}.${hint}`;
}
