import { warmup } from './constant.ts';
import type { ScheduleShape } from './schedule.ts';

/**
 * Rises to 1 over the warm-up, then falls as (1 − p)^power to `minimum` at `totalSteps`, and stays there:
 * minimum + (1 − minimum) · (1 − p)^power.
 */
export const polynomial =
  ({ minimum, power = 1 }: { readonly minimum: number; readonly power?: number }): ScheduleShape =>
  (step, { warmupSteps, totalSteps }) => {
    if (step < warmupSteps) return warmup(step, warmupSteps);
    if (step > totalSteps) return minimum;
    return (
      (1 - minimum) * (1 - (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps)) ** power + minimum
    );
  };
