/**
 * Makes tokens that occurred before less likely, in place (Keskar et al. 2019, CTRL): a positive logit is
 * divided by the penalty, a negative one multiplied by it. As in transformers, tokens of the prompt count.
 *
 * @param logits [vocabulary]
 * @param penalty 1: nothing changes
 */
export function penalizeRepetition(logits: Float32Array, seenIds: Iterable<number>, penalty: number): void {
  if (penalty === 1) return;
  for (const id of seenIds) logits[id] = logits[id] > 0 ? logits[id] / penalty : logits[id] * penalty;
}
