import { lossText } from '../../report/number-text.ts';
import type { Judgement } from '../run/judging/judgement.ts';
import type { EventLine } from '../run-folder/event-line.ts';

/**
 * How training changed the held-out loss of an adapter that the run started from: the evaluation before the
 * first step beside the last one, at each rank that has both. Null where there was no such evaluation.
 */
export function lossChange(
  events: readonly EventLine[],
  judgement: Judgement | null,
  steps: number,
): string | null {
  const before = events.find((event) => event.type === 'eval' && event.step === 0);
  if (before?.type !== 'eval' || !judgement?.ranks) return null;
  const changes = judgement.ranks.ranks.flatMap(({ rank, loss }) => {
    const start = before.by_rank.find((one) => one.rank === rank)?.loss;
    return start === undefined ? [] : [`${lossText(start ?? NaN)} → ${lossText(loss)} at rank ${rank}`];
  });
  if (changes.length === 0) return null;
  return `Held-out loss before the first step → after ${steps} steps: ${changes.join(', ')}.`;
}
