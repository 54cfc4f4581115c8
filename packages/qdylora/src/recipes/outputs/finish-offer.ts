import { againstBase } from '../../report/read-ranks.ts';
import { finishShare } from '../../config/finish-keys.ts';
import { finishedFolder, stepsOfShare } from '../finish/finish-values.ts';
import type { Judgement } from '../run/judging/judgement.ts';
import { shellCommand } from './shell-command.ts';
import type { EventLine } from '../run-folder/event-line.ts';

/** A finish of one rank (`qdylora finish`), and what it would take. */
export interface FinishOffer {
  readonly rank: number;
  /** Steps as a share of those of the run. */
  readonly share: number;
  readonly steps: number;
  /** Its steps at the mean time of the steps of the run. */
  readonly seconds: number;
  readonly command: string;
}

/** The first step of a finish has learning rate 0, and the last ones little. */
const FEWEST_STEPS = 3;

/**
 * Offers to train the recommended rank alone, where that rank shared its steps with others and is better than
 * the base. Null otherwise: where one rank was evaluated, where nothing was held out, and
 * where it would take one or two steps.
 */
export function finishOffer(
  outputDir: string,
  {
    judgement,
    events,
    runSteps,
  }: {
    readonly judgement: Judgement | null;
    readonly events: readonly EventLine[];
    readonly runSteps: number;
  },
): FinishOffer | null {
  const report = judgement?.ranks;
  const row = report?.ranks.find(({ rank }) => rank === report.smallestGoodRank);
  const seconds = events.flatMap((event) => (event.type === 'step' ? [event.step_seconds] : []));
  if (!report || !row || seconds.length === 0) return null;
  const { rank } = row;
  if (report.ranks.length === 1 || againstBase(row, report.alpha) !== 'better') return null;
  const share = finishShare(rank);
  const steps = stepsOfShare(share, runSteps);
  if (steps < FEWEST_STEPS) return null;
  return {
    rank,
    share,
    steps,
    seconds: (steps * seconds.reduce((sum, value) => sum + value, 0)) / seconds.length,
    command: shellCommand([
      'finish',
      outputDir,
      '--rank',
      String(rank),
      '--output-dir',
      finishedFolder(outputDir, rank),
    ]),
  };
}
