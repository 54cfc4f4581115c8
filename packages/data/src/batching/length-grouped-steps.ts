import type { Rng } from '@qdylora/contract';
import { permuteIndex } from '../stream/permute-index.ts';

/**
 * Number of steps that are sorted together, as in transformers: enough to find examples of similar length,
 * few enough to stay random.
 */
const STEPS_PER_GROUP = 50;

export interface GroupOptions {
  /** Number of examples per epoch, and per full step. */
  readonly length: number;
  readonly perStep: number;
  orderOf(epoch: number): (place: number) => number;
  readonly rng: Rng;
}

/**
 * Groups the examples of an epoch into steps of similar length.
 * The shuffled examples of 50 steps at a time are sorted by length and cut into steps; then the full steps of
 * the epoch are shuffled. The last step, which may be short, stays last. One group is in memory at a time,
 * and a step is a pure function of (epoch, step).
 */
export function lengthGroupedSteps(
  lengthAt: (index: number) => number,
  { length, perStep, orderOf, rng }: GroupOptions,
): (epoch: number, step: number) => number[] {
  const perGroup = STEPS_PER_GROUP * perStep;
  const fullSteps = Math.floor(length / perStep);
  let latest: { epoch: number; group: number; sorted: number[] } | null = null;
  const groupOf = (epoch: number, group: number): number[] => {
    if (latest?.epoch === epoch && latest.group === group) return latest.sorted;
    const at = orderOf(epoch);
    const from = group * perGroup;
    const inGroup = Math.min(perGroup, length - from);
    const sorted = Array.from({ length: inGroup }, (_, i) => at(from + i)).sort(
      (a, b) => lengthAt(b) - lengthAt(a) || a - b,
    );
    latest = { epoch, group, sorted };
    return sorted;
  };
  return (epoch, step) => {
    const place = step < fullSteps ? permuteIndex(fullSteps, rng, epoch)(step) : step;
    const group = Math.floor(place / STEPS_PER_GROUP);
    const from = (place % STEPS_PER_GROUP) * perStep;
    return groupOf(epoch, group).slice(from, from + perStep);
  };
}
