import { warmup } from './constant.ts';
import type { ScheduleShape } from './schedule.ts';

/** Rises to 1 over the warm-up, then falls in a straight line to 0 at `totalSteps`, and stays there. */
export const linear: ScheduleShape = (step, { warmupSteps, totalSteps }) =>
  step < warmupSteps
    ? warmup(step, warmupSteps)
    : Math.max(0, (totalSteps - step) / Math.max(1, totalSteps - warmupSteps));
