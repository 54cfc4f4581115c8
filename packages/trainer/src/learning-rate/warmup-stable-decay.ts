import { warmup } from './constant.ts';
import { cosine } from './cosine.ts';
import type { ScheduleShape } from './schedule.ts';

/** Share of all steps that decays where nobody says how many (Hu et al. 2024, MiniCPM: a tenth is enough). */
const DECAY_SHARE = 0.1;

/**
 * WSD: rises from `minimum` to 1 over the warm-up, stays there, and falls in its last `decaySteps` along half
 * a cosine to `minimum`.
 */
export const warmupStableDecay =
  ({ minimum, decaySteps }: { readonly minimum: number; readonly decaySteps?: number }): ScheduleShape =>
  (step, { warmupSteps, totalSteps }) => {
    const decay = decaySteps ?? Math.ceil(totalSteps * DECAY_SHARE);
    const stable = totalSteps - warmupSteps - decay;
    if (step < warmupSteps) return warmup(step, warmupSteps) * (1 - minimum) + minimum;
    if (step < warmupSteps + stable) return 1;
    if (step < warmupSteps + stable + decay)
      return cosine({ minimum })(step - warmupSteps - stable, { warmupSteps: 0, totalSteps: decay });
    return minimum;
  };
