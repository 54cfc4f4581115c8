import { warmup } from './constant.ts';
import type { ScheduleShape } from './schedule.ts';

/**
 * Rises to 1 over the warm-up, then follows `cycles` waves of a cosine down to `minimum`: minimum + (1 −
 * minimum) · (1 + cos(2π·cycles·p)) / 2 with p = share of the rest done.
 * Half a wave is the plain cosine (Loshchilov & Hutter 2017).
 */
export const cosine =
  ({ minimum, cycles = 0.5 }: { readonly minimum: number; readonly cycles?: number }): ScheduleShape =>
  (step, { warmupSteps, totalSteps }) => {
    if (step < warmupSteps) return warmup(step, warmupSteps);
    const progress = (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
    return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * cycles * 2 * progress)) * (1 - minimum) + minimum);
  };

/**
 * Half a cosine from 1 to 0, `cycles` times over, each beginning at 1 again; 0 from the end on (SGDR,
 * Loshchilov & Hutter 2017).
 */
export const cosineWithRestarts =
  ({ cycles = 1 }: { readonly cycles?: number }): ScheduleShape =>
  (step, { warmupSteps, totalSteps }) => {
    if (step < warmupSteps) return warmup(step, warmupSteps);
    const progress = (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
    return progress >= 1 ? 0 : Math.max(0, 0.5 * (1 + Math.cos(Math.PI * ((cycles * progress) % 1))));
  };
