import { anchorLevel, levelSampler, type Adapted, type LevelSampler } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import type { TrainOptions } from '@qdylora/trainer';
import { heldOutLosses, type LossesByRank } from './held-out-losses.ts';
import type { Setting } from './setting.ts';

/** The levels of a run; null if it has only its 4 bits. */
export function levelsOf({ job, steps }: Setting): LevelSampler | null {
  const { levels, levelSchedule: schedule, seed } = job;
  if (levels.every((level) => level === 4)) return null;
  return levelSampler(levels, { schedule, seed, totalSteps: steps });
}

/** Steps between two evaluations for the schedule `feedback`, and their number of held-out rows. */
const FEEDBACK_STEPS = 15;
const FEEDBACK_ROWS = 32;

/** Evaluations for the schedule `feedback`: the loss of the largest rank over the first held-out rows. */
export const feedbackOf = (
  { job: { levels, levelSchedule }, heldOut }: Setting,
  adapted: Adapted<CausalLm>,
): TrainOptions['evaluate'] =>
  levelSchedule === 'feedback'
    ? {
        every: FEEDBACK_STEPS,
        async run() {
          const rank = adapted.ranks.maxRank;
          const view = adapted.atRank(rank, { level: anchorLevel(levels) });
          const { losses } = await heldOutLosses([rank], [view], heldOut.slice(0, FEEDBACK_ROWS));
          return { byRank: [{ rank, loss: losses[rank] }] };
        },
      }
    : undefined;

/** Held-out losses at one level; `base`: without the adapter. */
type LossesAtLevel = Omit<LossesByRank, 'rowCounts'> & { readonly base: number };

/** Measures the trained adapter at each level of `evalLevels`. Keys of the result: bits per weight. */
export async function measureLevels(
  { job: { ranks: trainedRanks, evalRanks, evalLevels }, heldOut }: Setting,
  adapted: Adapted<CausalLm>,
): Promise<Record<string, LossesAtLevel>> {
  const ranks = evalRanks ?? trainedRanks;
  const byLevel: Record<string, LossesAtLevel> = {};
  for (const level of evalLevels) {
    const views = ranks.map((rank) => adapted.atRank(rank, { level }));
    const { losses, rowSums } = await heldOutLosses(ranks, views, heldOut);
    const base = await heldOutLosses([0], [adapted.base({ level })], heldOut);
    byLevel[level] = { base: base.losses[0], losses, rowSums };
  }
  return byLevel;
}
