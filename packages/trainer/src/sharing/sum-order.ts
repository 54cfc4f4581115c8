import type { Communicator } from '@qdylora/collectives';
import type { GradientSum } from './gradient-sum.ts';

/** In which order a run adds the gradients of its passes: runs of the same order round alike. */
export interface SumOrder {
  /**
   * - `tree`: in an order that the number of workers does not change;
   * - `one`: all passes to one sum, on one worker;
   * - the name of the `GradientSum` of several workers.
   */
  readonly method: string;
  /** Number of workers where the order depends on it; else null. */
  readonly workers: number | null;
}

/** The order of a run with these options of `train`. */
export function sumOrderOf({
  gradientSum,
  workers,
}: {
  readonly gradientSum?: GradientSum | null;
  readonly workers?: Pick<Communicator, 'size'> | null;
}): SumOrder {
  if (!gradientSum) return { method: 'tree', workers: null };
  const size = workers?.size ?? 1;
  return size === 1
    ? { method: 'one', workers: null }
    : { method: gradientSum.name ?? 'custom', workers: size };
}
