/**
 * The shapes of the schedules: factors on the peak learning rate, as transformers computes them.
 * `step` counts from 0, and p = (step − warmupSteps) / (totalSteps − warmupSteps) is the share done after the
 * warm-up.
 */

interface Lengths {
  readonly warmupSteps: number;
  readonly totalSteps: number;
}

/** Factor on the learning rate at `step`. */
export type ScheduleShape = (step: number, lengths: Lengths) => number;

/** The linear warm-up from 0 that all schedules share. */
const warmup = (step: number, warmupSteps: number): number => step / Math.max(1, warmupSteps);

/** p, the finished share of the steps after the warm-up. */
const shareDone = (step: number, { warmupSteps, totalSteps }: Lengths): number =>
  (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps);

/** 1 at every step; as in transformers, it has no warm-up. */
export const constant: ScheduleShape = () => 1;

/** step / warmupSteps, then 1. */
export const constantWithWarmup: ScheduleShape = (step, { warmupSteps }) =>
  step < warmupSteps ? warmup(step, warmupSteps) : 1;

/** Rises to 1 over the warm-up, then falls in a straight line to 0 at `totalSteps`, and stays there. */
export const linear: ScheduleShape = (step, { warmupSteps, totalSteps }) =>
  step < warmupSteps
    ? warmup(step, warmupSteps)
    : Math.max(0, (totalSteps - step) / Math.max(1, totalSteps - warmupSteps));

/**
 * Rises to 1 over the warm-up, then follows `cycles` waves of a cosine down to `minimum`:
 * minimum + (1 − minimum) · (1 + cos(2π·cycles·p)) / 2. Half a wave is the plain cosine (Loshchilov & Hutter
 * 2017).
 */
export const cosine =
  ({ minimum, cycles = 0.5 }: { readonly minimum: number; readonly cycles?: number }): ScheduleShape =>
  (step, lengths) => {
    if (step < lengths.warmupSteps) return warmup(step, lengths.warmupSteps);
    const wave = 0.5 * (1 + Math.cos(Math.PI * cycles * 2 * shareDone(step, lengths)));
    return Math.max(0, wave * (1 - minimum) + minimum);
  };

/**
 * Half a cosine from 1 to 0, `cycles` times, each beginning at 1 again; 0 from `totalSteps` on (SGDR,
 * Loshchilov & Hutter 2017).
 */
export const cosineWithRestarts =
  ({ cycles = 1 }: { readonly cycles?: number }): ScheduleShape =>
  (step, lengths) => {
    if (step < lengths.warmupSteps) return warmup(step, lengths.warmupSteps);
    const progress = shareDone(step, lengths);
    return progress >= 1 ? 0 : Math.max(0, 0.5 * (1 + Math.cos(Math.PI * ((cycles * progress) % 1))));
  };

/**
 * Rises to 1 over the warm-up, then falls to `minimum` at `totalSteps`, and stays there:
 * minimum + (1 − minimum) · (1 − p)^power.
 */
export const polynomial =
  ({ minimum, power = 1 }: { readonly minimum: number; readonly power?: number }): ScheduleShape =>
  (step, lengths) => {
    if (step < lengths.warmupSteps) return warmup(step, lengths.warmupSteps);
    if (step > lengths.totalSteps) return minimum;
    return (1 - minimum) * (1 - shareDone(step, lengths)) ** power + minimum;
  };

/** Timescale of `inverseSqrt` if none is passed and there is no warm-up, as in transformers. */
const TIMESCALE = 10_000;

/**
 * Rises to 1 over the warm-up, then falls as 1 / √(1 + (step − warmupSteps) / timescale), without an end. By
 * default the timescale is the length of the warm-up.
 */
export const inverseSqrt =
  ({ timescale }: { readonly timescale?: number }): ScheduleShape =>
  (step, { warmupSteps }) => {
    if (step < warmupSteps) return warmup(step, warmupSteps);
    const scale = timescale ?? (warmupSteps || TIMESCALE);
    return 1 / Math.sqrt((step + scale - warmupSteps) / scale);
  };

/** Share of all steps that decays by default (Hu et al. 2024, MiniCPM: a tenth is enough). */
const DECAY_SHARE = 0.1;

/**
 * Rises from `minimum` to 1 over the warm-up, stays there, and falls in the last `decaySteps` along half a
 * cosine to `minimum` (WSD).
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
