import { warmup } from './constant.ts';
import type { ScheduleShape } from './schedule.ts';

/** Where nobody gives a timescale and there is no warm-up to take it from: transformers' number. */
const TIMESCALE = 10_000;

/**
 * Rises to 1 over the warm-up, then falls as 1 / √(1 + (step − warmupSteps) / timescale); the timescale is
 * the warm-up's length unless it is given. It knows no end.
 */
export const inverseSqrt =
  ({ timescale }: { readonly timescale?: number }): ScheduleShape =>
  (step, { warmupSteps }) => {
    if (step < warmupSteps) return warmup(step, warmupSteps);
    const scale = timescale ?? (warmupSteps || TIMESCALE);
    return 1 / Math.sqrt((step + scale - warmupSteps) / scale);
  };
