import { warmup } from './constant.ts';
import type { ScheduleShape } from './schedule.ts';

/** Rises to 1 over the warm-up, then follows half a cosine down to `minimum`: minimum + (1 − minimum) · (1 + cos(π·p)) / 2 with p = share of the rest done (Loshchilov & Hutter 2017). */
export const cosine = (minimum: number): ScheduleShape => (step, { warmupSteps, totalSteps }) => {
  if (step < warmupSteps) return warmup(step, warmupSteps);
  const progress = (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
  return Math.max(0, (0.5 * (1 + Math.cos(Math.PI * progress))) * (1 - minimum) + minimum);
};
