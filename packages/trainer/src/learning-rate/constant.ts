import type { ScheduleShape } from './schedule.ts';

/** 1 at every step; like transformers' `constant` it knows no warm-up. */
export const constant: ScheduleShape = () => 1;

/** step / warmupSteps, then 1. */
export const constantWithWarmup: ScheduleShape = (step, { warmupSteps }) =>
  step < warmupSteps ? warmup(step, warmupSteps) : 1;

/** The linear rise from 0 that all schedules share. */
export const warmup = (step: number, warmupSteps: number): number => step / Math.max(1, warmupSteps);
