/**
 * A moving average of the loss, exponentially weighted: a loss n steps ago counts 0.9ⁿ times the newest one.
 */
export interface LossAverage {
  readonly value: number;
  /** Sum of the weights so far, that of the newest loss being 1; it grows towards 1 / (1 − 0.9) = 10. */
  readonly weight: number;
}

const DECAY = 0.9;

/** The average after one more loss. Dividing by the sum of weights makes the first steps unbiased. */
export function averageWith(before: LossAverage | null, loss: number): LossAverage {
  if (!before) return { value: loss, weight: 1 };
  const weight = DECAY * before.weight + 1;
  return { value: before.value + (loss - before.value) / weight, weight };
}
